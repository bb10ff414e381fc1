// regex.*: RE2, so every match is linear in the text. The dialect is Go's but for its \Q..\E inside
// classes; patterns that Go refuses and RE2 takes are rare and documented in docs/policy/.

#include <fmt/format.h>
#include <re2/re2.h>

#include <array>
#include <vector>

#include "policy/builtins/families.h"
#include "policy/builtins/regex_globs.h"
#include "policy/builtins/registry.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

using re2::RE2;
using re2::StringPiece;

StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

Result<const RE2*> pattern_operand(BuiltinContext& context, std::span<const Value> args,
                                   std::size_t position) {
  COFFER_TRY_VOID(string_operand(args, position));
  std::string error;
  const RE2* regex = context.regex->get(args[position - 1], error);
  if (regex == nullptr) return builtin_error("error parsing regexp: " + error);
  return regex;
}

// Matches from left to right without overlap, as Go's FindAll: an empty match is not taken right
// after another match. Calls `found` with the whole match and the groups until it says stop.
template <typename Found>
void for_each_match(const RE2& regex, std::string_view text, Found found) {
  std::vector<StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
  std::size_t at = 0;
  std::size_t last_end = std::string_view::npos;
  while (at <= text.size() && regex.Match(piece(text), at, text.size(), RE2::UNANCHORED,
                                          groups.data(), static_cast<int>(groups.size()))) {
    const auto start = static_cast<std::size_t>(groups[0].data() - text.data());
    const std::size_t end = start + groups[0].size();
    const bool empty_after_match = groups[0].empty() && start == last_end;
    if (!empty_after_match && !found(start, end, groups)) return;
    last_end = end;
    if (!groups[0].empty()) {
      at = end;
      continue;
    }
    // Past an empty match by a whole character.
    at = end < text.size() ? end + decode_rune(text.substr(end)).width : end + 1;
  }
}

Value to_value(const StringPiece& text) {
  return Value::string({text.data() == nullptr ? "" : text.data(), text.size()});
}

Result<Value> match(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const RE2* regex, pattern_operand(context, args, 1));
  COFFER_TRY(const auto text, string_operand(args, 2));
  return Value::boolean(RE2::PartialMatch(piece(text), *regex));
}

Result<Value> is_valid(BuiltinContext& context, std::span<const Value> args) {
  std::string error;
  return Value::boolean(args[0].is_string() && context.regex->get(args[0], error) != nullptr);
}

Result<Value> find_n(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const RE2* regex, pattern_operand(context, args, 1));
  COFFER_TRY(const auto text, string_operand(args, 2));
  COFFER_TRY(std::int64_t left, int_operand(args, 3));
  std::vector<Value> found;
  if (left != 0) {
    for_each_match(*regex, text, [&](std::size_t, std::size_t, const auto& groups) {
      found.push_back(to_value(groups[0]));
      return --left != 0;
    });
  }
  return Value::array(std::move(found));
}

Result<Value> find_all_string_submatch_n(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const RE2* regex, pattern_operand(context, args, 1));
  COFFER_TRY(const auto text, string_operand(args, 2));
  COFFER_TRY(std::int64_t left, int_operand(args, 3));
  std::vector<Value> found;
  if (left != 0) {
    for_each_match(*regex, text, [&](std::size_t, std::size_t, const auto& groups) {
      std::vector<Value> parts;
      for (const StringPiece& group : groups) parts.push_back(to_value(group));
      found.push_back(Value::array(std::move(parts)));
      return --left != 0;
    });
  }
  return Value::array(std::move(found));
}

Result<Value> split(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const RE2* regex, pattern_operand(context, args, 1));
  COFFER_TRY(const auto text, string_operand(args, 2));
  std::vector<Value> parts;
  std::size_t begin = 0;
  std::size_t end = 0;
  for_each_match(*regex, text, [&](std::size_t start, std::size_t stop, const auto&) {
    // Go: an empty match at the very start splits nothing off.
    if (stop != 0) {
      end = start;
      if (!(begin == 0 && end == 0 && stop == start)) {
        parts.push_back(Value::string(text.substr(begin, end - begin)));
      }
      begin = stop;
    }
    return true;
  });
  const bool rest_wanted = text.empty() || end != text.size();
  if (rest_wanted) parts.push_back(Value::string(text.substr(begin)));
  return Value::array(std::move(parts));
}

// Go's Expand: $1, $name, ${name}, $$; an unknown group is empty.
class Template {
 public:
  Template(const RE2& regex, std::string_view text) : names_(regex.NamedCapturingGroups()) {
    while (!text.empty()) {
      const auto dollar = text.find('$');
      literal(text.substr(0, dollar));
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar + 1);
      text.remove_prefix(reference(text));
    }
  }

  void append_to(std::string& out, const std::vector<StringPiece>& groups) const {
    for (const Part& part : parts_) {
      out += part.text;
      if (part.group >= 0 && static_cast<std::size_t>(part.group) < groups.size()) {
        const StringPiece& group = groups[static_cast<std::size_t>(part.group)];
        out.append(group.data() == nullptr ? "" : group.data(), group.size());
      }
    }
  }

 private:
  struct Part {
    std::string text;
    int group = -1;
  };

  void literal(std::string_view text) {
    if (!text.empty()) parts_.push_back({std::string(text), -1});
  }

  static bool is_word(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  }

  // What follows a '$'; returns how much of it is used.
  std::size_t reference(std::string_view text) {
    if (text.starts_with('$')) {
      literal("$");
      return 1;
    }
    const bool braces = text.starts_with('{');
    const std::size_t start = braces ? 1 : 0;
    std::size_t end = start;
    while (end < text.size() && is_word(text[end])) ++end;
    if (end == start || (braces && (end >= text.size() || text[end] != '}'))) {
      literal("$");
      return 0;
    }
    parts_.push_back({{}, group_index(std::string(text.substr(start, end - start)))});
    return braces ? end + 1 : end;
  }

  int group_index(const std::string& name) const {
    constexpr std::size_t kMaxDigits = 4;
    const bool numeric = name.find_first_not_of("0123456789") == std::string::npos;
    if (numeric) return name.size() <= kMaxDigits ? std::stoi(name) : -1;
    const auto found = names_.find(name);
    return found == names_.end() ? -1 : found->second;
  }

  const std::map<std::string, int>& names_;
  std::vector<Part> parts_;
};

Result<Value> replace(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  COFFER_TRY(const RE2* regex, pattern_operand(context, args, 2));
  COFFER_TRY(const auto by, string_operand(args, 3));
  const Template replacement(*regex, by);
  std::string out;
  std::size_t copied = 0;
  bool too_large = false;
  for_each_match(*regex, text, [&](std::size_t start, std::size_t end, const auto& groups) {
    out += text.substr(copied, start - copied);
    replacement.append_to(out, groups);
    copied = end;
    too_large = out.size() > context.max_result;
    return !too_large;
  });
  if (too_large) COFFER_TRY_VOID(context.check_size(out.size(), "regex.replace"));
  out += text.substr(copied);
  return Value::string(out);
}

// "urn:<.*>" with delimiters "<", ">": what stands between them is a pattern, the rest is literal.
Result<std::string> template_pattern(std::string_view text, std::string_view open,
                                     std::string_view close) {
  std::string pattern = "^";
  while (!text.empty()) {
    const auto start = text.find(open);
    pattern += RE2::QuoteMeta(piece(text.substr(0, start)));
    if (start == std::string_view::npos) break;
    text.remove_prefix(start + open.size());
    std::size_t depth = 1;
    std::size_t end = 0;
    for (; end < text.size() && depth > 0; ++end) {
      if (text.substr(end).starts_with(close)) {
        --depth;
      } else if (text.substr(end).starts_with(open)) {
        ++depth;
      }
    }
    if (depth > 0) return builtin_error("unbalanced braces in the template");
    pattern += fmt::format("({})", text.substr(0, end - 1));
    text.remove_prefix(end - 1 + close.size());
  }
  return pattern + "$";
}

Result<Value> template_match(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const auto pattern, string_operand(args, 1));
  COFFER_TRY(const auto text, string_operand(args, 2));
  COFFER_TRY(const auto open, string_operand(args, 3));
  COFFER_TRY(const auto close, string_operand(args, 4));
  if (open.size() != 1) return builtin_error("delimiter start must be exactly one character");
  if (close.size() != 1) return builtin_error("delimiter end must be exactly one character");
  COFFER_TRY(const std::string regex, template_pattern(pattern, open, close));
  std::string error;
  const RE2* compiled = context.regex->get(Value::string(regex), error);
  if (compiled == nullptr) return builtin_error("error parsing regexp: " + error);
  return Value::boolean(RE2::PartialMatch(piece(text), *compiled));
}

Result<Value> globs_match(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto left, string_operand(args, 1));
  COFFER_TRY(const auto right, string_operand(args, 2));
  auto intersects = regex_globs_intersect(left, right);
  if (!intersects) return builtin_error(intersects.error().message());
  return Value::boolean(*intersects);
}

constexpr std::array<Builtin, 9> kBuiltins = {{
    {"regex.match", 2, match},
    {"re_match", 2, match, kDeprecated},
    {"regex.is_valid", 1, is_valid},
    {"regex.find_n", 3, find_n},
    {"regex.find_all_string_submatch_n", 3, find_all_string_submatch_n},
    {"regex.split", 2, split},
    {"regex.replace", 3, replace},
    {"regex.template_match", 4, template_match},
    {"regex.globs_match", 2, globs_match},
}};

}  // namespace

std::span<const Builtin> regex_builtins() { return kBuiltins; }

}  // namespace coffer::policy
