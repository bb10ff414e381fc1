#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>

namespace coffer::cli {
namespace {

// Levenshtein distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

constexpr std::size_t kNearEnough = 3;

// To stdout when it was asked for; to stderr when a command is missing.
void print_commands(std::span<const Command> commands, std::FILE* out) {
  fmt::print(
      out,
      "usage: coffer COMMAND [OPTION]...\n\nConfidential containers: policies, measurements, "
      "evidence, guest images.\n\n");
  for (const auto& command : commands) {
    fmt::print(out, "  {:<22} {}\n", command.name, command.summary);
  }
  fmt::print(out, "\n'coffer COMMAND --help' explains a command and shows an example.\n");
}

// "policy eval x" matches "policy eval" with 2 words.
const Command* match(std::span<const Command> commands, Args args, std::size_t& words) {
  for (words = 2; words >= 1; --words) {
    if (args.size() < words) continue;
    const std::string name = words == 2 ? args[0] + " " + args[1] : args[0];
    const auto it = std::ranges::find(commands, name, &Command::name);
    if (it != commands.end()) return &*it;
  }
  return nullptr;
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr unsigned char kDelete = 0x7f;
  constexpr unsigned char kC1Lead = 0xc2;  // in UTF-8, of U+0080 to U+009F
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte == kC1Lead && next >= 0x80 && next < 0xa0) {
      out += fmt::format("\\x{:02x}", next);
      ++i;
    } else if (byte == kDelete || (byte < ' ' && byte != '\n' && byte != '\t')) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text[i];
    }
  }
  return out;
}

int report(const Error& error) {
  fmt::print(stderr, "coffer: {}\n", printable(error.to_string()));
  return kExitError;
}

Options& Options::add(std::string_view names, std::string_view text, Option option) {
  const auto comma = names.find(',');
  option.long_name = names.substr(0, comma);
  if (comma != std::string_view::npos) option.short_name = names.substr(comma + 1);
  option.text = text;
  options_.push_back(std::move(option));
  return *this;
}

Options& Options::flag(std::string_view names, bool* target, std::string_view text) {
  Option option;
  option.flag = target;
  return add(names, text, std::move(option));
}

Options& Options::value(std::string_view names, std::string* target, std::string_view text) {
  Option option;
  option.value = target;
  return add(names, text, std::move(option));
}

Options& Options::values(std::string_view names, std::vector<std::string>* target,
                         std::string_view text) {
  Option option;
  option.values = target;
  return add(names, text, std::move(option));
}

Options& Options::positional(std::vector<std::string>* target) {
  positional_ = target;
  return *this;
}

Options::Option* Options::find(std::string_view name) {
  const auto it = std::ranges::find_if(options_, [&](const Option& option) {
    return option.long_name == name || (!option.short_name.empty() && option.short_name == name);
  });
  return it == options_.end() ? nullptr : &*it;
}

Error Options::unknown(std::string_view name) const {
  std::string_view nearest;
  std::size_t best = kNearEnough + 1;
  for (const auto& option : options_) {
    const std::size_t d = distance(name, option.long_name);
    if (d < best) {
      best = d;
      nearest = option.long_name;
    }
  }
  const std::string hint =
      nearest.empty() ? "see --help" : fmt::format("did you mean '{}'?", nearest);
  return {Code::kInvalidArgument, fmt::format("option '{}': unknown ({})", name, hint)};
}

Status Options::store(Option& option, std::string_view name, std::string value) {
  if (option.values != nullptr) {
    option.values->push_back(std::move(value));
    return {};
  }
  if (option.seen) {
    return fail(Code::kInvalidArgument, fmt::format("option '{}': given twice", name));
  }
  option.seen = true;
  *option.value = std::move(value);
  return {};
}

Status Options::parse_option(std::string_view arg, Args& rest) {
  const auto equals = arg.starts_with("--") ? arg.find('=') : std::string_view::npos;
  const std::string_view name = arg.substr(0, equals);
  Option* option = find(name);
  if (option == nullptr) return fail(unknown(name));
  if (option->flag != nullptr) {
    if (equals != std::string_view::npos) {
      return fail(Code::kInvalidArgument, fmt::format("option '{}': takes no value", name));
    }
    *option->flag = true;
    return {};
  }
  if (equals != std::string_view::npos) {
    return store(*option, name, std::string(arg.substr(equals + 1)));
  }
  if (rest.empty()) {
    return fail(Code::kInvalidArgument, fmt::format("option '{}': needs a value", name));
  }
  std::string value = rest.front();
  rest = rest.subspan(1);
  return store(*option, name, std::move(value));
}

void Options::print_help() const {
  fmt::print("usage: coffer {}\n\n{}\n", usage_, help_);
  if (!options_.empty()) fmt::print("\n");
  for (const auto& option : options_) {
    std::string names = option.long_name;
    if (!option.short_name.empty()) names = fmt::format("{}, {}", option.short_name, names);
    if (option.flag == nullptr) names += " V";
    fmt::print("  {:<30} {}\n", names, option.text);
  }
}

Status Options::parse(Args args) {
  while (!args.empty()) {
    const std::string& arg = args.front();
    args = args.subspan(1);
    if (arg == "--help" || (arg == "-h" && find("-h") == nullptr)) {
      print_help();
      help_shown_ = true;
      return {};
    }
    if (arg == "--") break;
    if (arg.size() > 1 && arg.starts_with('-')) {
      COFFER_TRY_VOID(parse_option(arg, args));
    } else if (positional_ != nullptr) {
      positional_->push_back(arg);
    } else {
      return fail(Code::kInvalidArgument,
                  fmt::format("argument '{}': not expected (see --help)", arg));
    }
  }
  if (!args.empty() && positional_ == nullptr) {
    return fail(Code::kInvalidArgument,
                fmt::format("argument '{}': not expected (see --help)", args.front()));
  }
  if (positional_ != nullptr) positional_->insert(positional_->end(), args.begin(), args.end());
  return {};
}

Result<std::uint64_t> to_number(std::string_view option, std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  std::uint64_t value = 0;
  const auto [at, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (error == std::errc() && at == digits.data() + digits.size() && !digits.empty()) return value;
  return fail(Code::kInvalidArgument,
              fmt::format("option '{}': '{}' is not a number", option, text));
}

int dispatch(std::span<const Command> commands, Args args) {
  if (args.empty()) {
    print_commands(commands, stderr);
    return kExitError;
  }
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    print_commands(commands, stdout);
    return kExitOk;
  }
  if (args[0] == "--version" || args.back() == "--version") {
    fmt::print("coffer {}\n", COFFER_VERSION);
    return kExitOk;
  }
  std::size_t words = 0;
  const Command* command = match(commands, args, words);
  if (command == nullptr) {
    // The first word of several commands: those.
    std::vector<Command> group;
    std::ranges::copy_if(commands, std::back_inserter(group),
                         [&](const Command& one) { return one.name.starts_with(args[0] + " "); });
    const bool help = args.size() > 1 && (args[1] == "--help" || args[1] == "-h");
    if (!group.empty() && (args.size() == 1 || help)) {
      print_commands(group, help ? stdout : stderr);
      return help ? kExitOk : kExitError;
    }
    const std::string name = group.empty() ? args[0] : args[0] + " " + args[1];
    return report(
        Error(Code::kInvalidArgument, fmt::format("command '{}': unknown (see coffer{} --help)",
                                                  name, group.empty() ? "" : " " + args[0])));
  }
  return command->run(args.subspan(words));
}

}  // namespace coffer::cli
