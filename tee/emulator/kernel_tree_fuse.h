// Mounts a KernelTree with FUSE.
#pragma once

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "tee/emulator/kernel_tree.h"

namespace coffer::emulator {

// Mounts the tree at `mount_point`, calls `mounted`, and serves it until SIGTERM, SIGINT or
// umount(2); unmounts on return. Needs root and /dev/fuse. One call at a time in a process.
[[nodiscard]] Status serve_kernel_tree(KernelTree& tree, const std::filesystem::path& mount_point,
                                       const std::function<void()>& mounted);

}  // namespace coffer::emulator
