#include "shim/bootstrap/options.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

#include "shim/sandbox/role.h"

namespace coffer::shim {
namespace {

struct Flag {
  std::string_view name;
  std::string ShimOptions::* text;
  bool ShimOptions::* boolean;
};

constexpr std::array kFlags = {
    Flag{.name = "namespace", .text = &ShimOptions::containerd_namespace, .boolean = nullptr},
    Flag{.name = "address", .text = &ShimOptions::address, .boolean = nullptr},
    Flag{.name = "publish-binary", .text = &ShimOptions::publish_binary, .boolean = nullptr},
    Flag{.name = "id", .text = &ShimOptions::id, .boolean = nullptr},
    Flag{.name = "bundle", .text = &ShimOptions::bundle, .boolean = nullptr},
    Flag{.name = "socket", .text = &ShimOptions::socket, .boolean = nullptr},
    Flag{.name = "debug-socket", .text = &ShimOptions::debug_socket, .boolean = nullptr},
    Flag{.name = "config", .text = &ShimOptions::config, .boolean = nullptr},
    Flag{.name = "debug", .text = nullptr, .boolean = &ShimOptions::debug},
};

std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

Status set_boolean(std::string_view name, std::optional<std::string_view> value, bool* target) {
  const std::optional<bool> parsed = value ? parse_bool(*value) : true;
  if (!parsed) {
    return fail(Code::kInvalidArgument,
                fmt::format("parse flag '-{}': want a boolean, got '{}'", name, *value));
  }
  *target = *parsed;
  return {};
}

// Consumes one flag (and its value) from the front of `args`.
Status parse_flag(std::span<const std::string_view>& args, ShimOptions& options) {
  std::string_view name = args.front();
  args = args.subspan(1);
  name.remove_prefix(name.starts_with("--") ? 2 : 1);
  std::optional<std::string_view> value;
  if (const auto equals = name.find('='); equals != std::string_view::npos) {
    value = name.substr(equals + 1);
    name = name.substr(0, equals);
  }
  if (name == "v" || name == "version" || name == "info") {
    bool wanted = false;
    COFFER_TRY_VOID(set_boolean(name, value, &wanted));
    if (wanted) options.action = name == "info" ? Action::kInfo : Action::kVersion;
    return {};
  }
  const auto* const flag = std::ranges::find(kFlags, name, &Flag::name);
  if (flag == kFlags.end()) {
    return fail(Code::kInvalidArgument, fmt::format("parse flag '-{}': no such flag", name));
  }
  if (flag->boolean != nullptr) return set_boolean(name, value, &(options.*flag->boolean));
  if (!value) {
    if (args.empty()) {
      return fail(Code::kInvalidArgument, fmt::format("parse flag '-{}': needs a value", name));
    }
    value = args.front();
    args = args.subspan(1);
  }
  options.*flag->text = *value;
  return {};
}

Status set_action(std::string_view word, ShimOptions& options) {
  if (word == "start") {
    options.action = Action::kStart;
  } else if (word == "delete") {
    options.action = Action::kDelete;
  } else if (word == "launch") {
    options.action = Action::kLaunch;
  } else {
    return fail(Code::kInvalidArgument,
                fmt::format("parse action '{}': want 'start', 'delete', 'launch' or none", word));
  }
  return {};
}

}  // namespace

Result<ShimOptions> parse_options(std::span<const std::string_view> args) {
  ShimOptions options;
  while (!args.empty() && args.front().size() > 1 && args.front().starts_with('-')) {
    if (args.front() == "--") {
      args = args.subspan(1);
      break;
    }
    COFFER_TRY_VOID(parse_flag(args, options));
  }
  if (options.action == Action::kInfo || options.action == Action::kVersion) return options;
  if (!args.empty()) COFFER_TRY_VOID(set_action(args.front(), options));
  if (options.action == Action::kLaunch) return options;
  COFFER_TRY_VOID(check_identifier("flag '-namespace'", options.containerd_namespace));
  COFFER_TRY_VOID(check_identifier("flag '-id'", options.id));
  return options;
}

}  // namespace coffer::shim
