// mount(2) and what belongs around it: making the mount point, file-system groups, unmounting.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::agent {

struct MountRequest {
  std::string source;
  std::string target;
  std::string type;
  std::span<const std::string> options;
};

// Makes the mount point (a file for a bind of a file) and mounts. Flags of a bind are applied by a
// remount, propagation last. No link is followed on the way to the target: containers can make some
// in the volumes that they share, and the policy has approved the path that it saw.
[[nodiscard]] Status mount_at(const MountRequest& request);

// Opens the directory `path` (absolute, no ".."), and makes what is missing of it; ENOTDIR when
// there is a link on the way.
[[nodiscard]] Result<Fd> open_directories(const std::string& path);

// Lazy. What is not mounted is no error.
[[nodiscard]] Status unmount(const std::string& target);

// Whether `path` is the root of a mount.
[[nodiscard]] bool is_mount_point(const std::filesystem::path& path);

// Removes a tree without crossing into a mount (kFailedPrecondition) and without following links,
// also when a container changes it meanwhile.
[[nodiscard]] Status remove_tree(const std::filesystem::path& path);

// chgrp of the whole tree, as Kubernetes' fsGroup: files 0660 (0440 when `read_only`), directories
// 0110 and setgid on top. With `on_root_mismatch` nothing happens if the root fits already.
[[nodiscard]] Status apply_fs_group(const std::filesystem::path& root, std::uint32_t gid,
                                    bool read_only, bool on_root_mismatch);

// A mount point from the wire: absolute, no "..", no NUL, at most PATH_MAX; kInvalidArgument.
[[nodiscard]] Status check_path(std::string_view path, std::string_view what);

}  // namespace coffer::agent
