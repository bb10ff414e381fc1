// The pod's cgroup on the host, where the shim and QEMU live so that the pod's limits hold for the
// VM. Works with cgroup v2 and with v1's named hierarchies.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::shim {

inline constexpr std::string_view kCgroupRoot = "/sys/fs/cgroup";

// Whether `root` is one cgroup v2 tree (else v1 hierarchies, perhaps with v2 beside them).
[[nodiscard]] bool is_unified(const std::filesystem::path& root = kCgroupRoot);

// The path below the root that an OCI `cgroupsPath` stands for: "/a/b" as it is, and systemd's
// "slice:prefix:name" as SLICE-TREE/prefix-name.scope. kInvalidArgument when it could leave the
// tree.
[[nodiscard]] Result<std::string> cgroup_path(std::string_view oci_path);

// Makes CGROUP (below every hierarchy of `root`) and moves the calling process, with all its
// children to come, into it. Returns the folders made, deepest first: they are the sandbox's to
// remove. Hierarchies that refuse are skipped, as an unprivileged or nested host has some that
// cannot be used; kUnavailable only when none takes it.
[[nodiscard]] Result<std::vector<std::string>> join_cgroup(
    std::string_view path, const std::filesystem::path& root = kCgroupRoot);

// Removes one cgroup folder, its empty children first, after moving what still runs there (the
// caller itself, at its end) to the parent. A missing one is no error.
[[nodiscard]] Status remove_cgroup(const std::filesystem::path& folder);

}  // namespace coffer::shim
