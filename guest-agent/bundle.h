// What the agent itself puts into a container's config.json: it decides the namespaces and the
// cgroup, whatever the host wrote.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"

namespace coffer::agent {

class SandboxNamespaces;

// Whether `path` may be the root of container `id`. Kata's policy matches a pattern somewhere in
// it, so the rest is for us: kInvalidArgument when it has "..", goes through a link, holds `base`
// (the agent's own directory) or is another container's, and, for an image that is `pulled` in the
// guest, when it is not where that was unpacked.
[[nodiscard]] Status check_root(const std::filesystem::path& base, const std::string& id,
                                const std::string& path, bool pulled);

// IPC and UTS become the sandbox's, PID its own or the shared one, the cgroup namespace its own.
// The network is the guest's. kInvalidArgument when the spec has no mount namespace (the container
// would live in the agent's) or names a namespace by path (it would join one of the agent's).
[[nodiscard]] Status place_in_sandbox(nlohmann::json& config, const SandboxNamespaces& namespaces,
                                      bool share_pid_namespace);

// Replaces the process and root by those of the guest's own pause bundle.
[[nodiscard]] Status run_pause_image(nlohmann::json& config,
                                     const std::filesystem::path& pause_bundle);

}  // namespace coffer::agent
