#include "guest-agent/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace coffer::agent {
namespace {

struct Setting {
  std::string_view name;
  bool needs_value;
  Status (*apply)(AgentConfig& config, std::string_view value);
};

std::unexpected<Error> refuse(std::string_view value, std::string_view want) {
  return fail(Code::kInvalidArgument, fmt::format("got '{}', want {}", value, want));
}

Result<bool> to_bool(std::string_view value) {
  if (value.empty() || value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return refuse(value, "true or false");
}

Result<std::int64_t> to_integer(std::string_view value) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) return refuse(value, "a number");
  return number;
}

template <bool AgentConfig::* kMember>
Status set_bool(AgentConfig& config, std::string_view value) {
  COFFER_TRY(config.*kMember, to_bool(value));
  return {};
}

template <std::string AgentConfig::* kMember>
Status set_string(AgentConfig& config, std::string_view value) {
  config.*kMember = std::string(value);
  return {};
}

// Kata ignores a number outside the guard; so do we, but aloud.
template <std::uint32_t AgentConfig::* kMember, std::int64_t kMin>
Status set_number(AgentConfig& config, std::string_view value) {
  COFFER_TRY(const auto number, to_integer(value));
  if (number < kMin || number > INT32_MAX)
    config.warnings.push_back(fmt::format("ignored: {} is out of range", number));
  else
    config.*kMember = static_cast<std::uint32_t>(number);
  return {};
}

template <std::chrono::seconds AgentConfig::* kMember>
Status set_seconds(AgentConfig& config, std::string_view value) {
  COFFER_TRY(const auto number, to_integer(value));
  if (number <= 0 || number > INT32_MAX)
    config.warnings.push_back(fmt::format("ignored: {} is not a positive time", number));
  else
    config.*kMember = std::chrono::seconds(number);
  return {};
}

Status set_log_level(AgentConfig& config, std::string_view value) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kLevels{{
      {"fatal", "critical"},
      {"panic", "critical"},
      {"critical", "critical"},
      {"error", "error"},
      {"warn", "warning"},
      {"warning", "warning"},
      {"info", "info"},
      {"debug", "debug"},
      {"trace", "trace"},
  }};
  for (const auto& [name, level] : kLevels) {
    if (name == value) {
      config.log_level = level;
      return {};
    }
  }
  return refuse(value, "fatal, panic, critical, error, warn, warning, info, debug or trace");
}

Status set_procs(AgentConfig& config, std::string_view value) {
  static constexpr std::array<std::string_view, 4> kProcs{
      "none", "attestation-agent", "confidential-data-hub", "api-server-rest"};
  if (std::ranges::find(kProcs, value) == kProcs.end())
    return refuse(value, "none, attestation-agent, confidential-data-hub or api-server-rest");
  config.guest_components_procs = value;
  return {};
}

Status set_rest_api(AgentConfig& config, std::string_view value) {
  if (value != "all" && value != "attestation" && value != "resource")
    return refuse(value, "all, attestation or resource");
  config.guest_components_rest_api = value;
  return {};
}

Status accept_unused(AgentConfig& /*config*/, std::string_view /*value*/) { return {}; }

Status refuse_config_file(AgentConfig& /*config*/, std::string_view /*value*/) {
  return fail(Code::kUnimplemented,
              "a configuration file is not read by this agent (put the settings on the kernel "
              "command line, which is measured)");
}

using C = AgentConfig;
constexpr std::array kSettings{
    Setting{"agent.log", true, set_log_level},
    Setting{"agent.server_addr", true, set_string<&C::server_addr>},
    Setting{"agent.debug_console", false, set_bool<&C::debug_console>},
    Setting{"agent.debug_console_vport", true, set_number<&C::debug_console_vport, 1>},
    Setting{"agent.log_vport", true, set_number<&C::log_vport, 1>},
    Setting{"agent.devmode", false, accept_unused},
    Setting{"agent.trace", false, set_bool<&C::tracing>},
    Setting{"agent.hotplug_timeout", true, set_seconds<&C::hotplug_timeout>},
    Setting{"agent.cdh_api_timeout", true, set_seconds<&C::cdh_api_timeout>},
    Setting{"agent.image_pull_timeout", true, set_seconds<&C::image_pull_timeout>},
    Setting{"agent.cdi_timeout", true, set_seconds<&C::cdi_timeout>},
    Setting{"agent.launch_process_timeout", true, set_seconds<&C::launch_process_timeout>},
    Setting{"agent.visible_cdi_devices", true, accept_unused},
    Setting{"agent.container_pipe_size", true, set_number<&C::container_pipe_size, 0>},
    Setting{"agent.passfd_listener_port", true, accept_unused},
    Setting{"agent.guest_components_procs", true, set_procs},
    Setting{"agent.guest_components_rest_api", true, set_rest_api},
    Setting{"agent.secure_storage_integrity", true, set_bool<&C::secure_storage_integrity>},
    Setting{"agent.attestation_required", false, set_bool<&C::attestation_required>},
    Setting{"agent.https_proxy", true, accept_unused},
    Setting{"agent.no_proxy", true, accept_unused},
    Setting{"agent.config_file", true, refuse_config_file},
};

const Setting* find_setting(std::string_view name) {
  const auto* found = std::ranges::find(kSettings, name, &Setting::name);
  return found == kSettings.end() ? nullptr : found;
}

}  // namespace

Status apply_setting(AgentConfig& config, std::string_view word) {
  const auto equals = word.find('=');
  const auto name = word.substr(0, equals);
  const auto* setting = find_setting(name);
  if (setting == nullptr) {
    config.warnings.push_back(fmt::format("'{}': not a setting of this agent, ignored", name));
    return {};
  }
  if (equals == std::string_view::npos && setting->needs_value)
    return fail(Code::kInvalidArgument, fmt::format("read '{}': needs a value", name));
  const auto value = equals == std::string_view::npos ? "" : word.substr(equals + 1);
  const auto warnings = config.warnings.size();
  if (auto status = setting->apply(config, value); !status)
    return fail(std::move(status).error().with_context(fmt::format("read '{}'", name)));
  for (auto i = warnings; i < config.warnings.size(); ++i)
    config.warnings[i] = fmt::format("'{}': {}", name, config.warnings[i]);
  return {};
}

Result<AgentConfig> parse_kernel_command_line(std::string_view command_line) {
  AgentConfig config;
  std::size_t at = 0;
  while (at < command_line.size()) {
    const auto start = command_line.find_first_not_of(" \t\n", at);
    if (start == std::string_view::npos) break;
    const auto end = std::min(command_line.find_first_of(" \t\n", start), command_line.size());
    const auto word = command_line.substr(start, end - start);
    at = end;
    // What stands after "--" is for init, and init is this program: same words, same meaning.
    if (word.starts_with("agent.")) COFFER_TRY_VOID(apply_setting(config, word));
  }
  return config;
}

}  // namespace coffer::agent
