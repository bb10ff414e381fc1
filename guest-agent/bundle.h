// What the agent itself puts into a container's config.json: it decides the namespaces and the
// cgroup, whatever the host wrote.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace coffer::agent {

class SandboxNamespaces;

// IPC and UTS become the sandbox's, PID its own or the shared one, the cgroup namespace its own.
// The network is the guest's. kInvalidArgument when the spec has no mount namespace (the container
// would live in the agent's) or names a namespace by path (it would join one of the agent's).
[[nodiscard]] Status place_in_sandbox(nlohmann::json& config, const SandboxNamespaces& namespaces,
                                      bool share_pid_namespace);

// Replaces the process and root by those of the guest's own pause bundle.
[[nodiscard]] Status run_pause_image(nlohmann::json& config,
                                     const std::filesystem::path& pause_bundle);

}  // namespace coffer::agent
