// The agent's settings, from the kernel command line. In a confidential guest the command line is
// measured at launch, so it is trusted as far as the report says; a malformed value still stops the
// agent rather than being guessed at.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::agent {

struct AgentConfig {
  // One of trace, debug, info, warning, error, critical; the aliases of Kata are mapped to these.
  std::string log_level = "info";
  // Empty: the virtio-serial port if the machine has one, else vsock://-1:1024.
  std::string server_addr;
  bool debug_console = false;
  std::uint32_t debug_console_vport = 0;
  std::uint32_t log_vport = 0;
  bool tracing = false;
  std::chrono::seconds hotplug_timeout{3};
  std::chrono::seconds cdh_api_timeout{50};
  std::chrono::seconds image_pull_timeout{1200};
  std::chrono::seconds cdi_timeout{100};
  std::chrono::seconds launch_process_timeout{6};
  // Bytes; 0 leaves the agent's own choice (stdio.h).
  std::uint32_t container_pipe_size = 0;
  bool secure_storage_integrity = true;
  // No container is made before the key broker has released a token.
  bool attestation_required = false;
  std::string guest_components_procs = "api-server-rest";
  std::string guest_components_rest_api = "resource";
  // Words that were understood but ignored, with the reason; the caller logs them.
  std::vector<std::string> warnings;

  // Whether gated requests are written to the policy log.
  [[nodiscard]] bool logs_policy_requests() const {
    return log_level == "debug" || log_level == "trace";
  }
};

// Reads every `agent.*` word of `command_line` (the text of /proc/cmdline). Words of others are
// skipped; an `agent.*` word that nobody knows, or a number out of its range, becomes a warning.
// kInvalidArgument names the word and what it wants.
[[nodiscard]] Result<AgentConfig> parse_kernel_command_line(std::string_view command_line);

// One `name=value` or bare word on top of `config`: also what --set on the agent's own command line
// and the environment (KATA_AGENT_*) come down to.
[[nodiscard]] Status apply_setting(AgentConfig& config, std::string_view word);

}  // namespace coffer::agent
