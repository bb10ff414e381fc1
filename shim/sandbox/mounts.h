// Mounting and unmounting on the host.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::shim {

struct HostMount {
  std::string type, source;
  std::vector<std::string> options;  // as in fstab: "ro", "lowerdir=...", "bind"
};

// Mount flags, propagation and the data string that a list of fstab options stands for. A flag
// that cancels another ("rw" after "ro") wins by its place.
struct ParsedOptions {
  unsigned long set = 0;
  unsigned long propagation = 0;  // applied by a second call
  std::string data;
};
[[nodiscard]] ParsedOptions parse_mount_options(std::span<const std::string> options);

// Mounts on `target`, which must exist. An
// overlay whose data exceeds a page is mounted relative to its lower layers' common folder.
[[nodiscard]] Status mount_on(const HostMount& mount, const std::filesystem::path& target);

// Recursive bind of a file or folder; `target` is made to fit. `read_only` applies to the whole
// tree.
[[nodiscard]] Status bind_mount(const std::filesystem::path& source,
                                const std::filesystem::path& target, bool read_only);

// Mount points at or below `path` in this namespace, deepest first.
[[nodiscard]] Result<std::vector<std::string>> mounts_below(const std::filesystem::path& path);

// Lazily unmounts everything at and below `path`. Nothing there is no error.
[[nodiscard]] Status unmount_tree(const std::filesystem::path& path);

// Unmounts below `path`, then removes it: never what a mount brought there, because a mount that
// cannot be undone stops it (kFailedPrecondition). A missing path is no error.
[[nodiscard]] Status remove_tree(const std::filesystem::path& path);

// A mount namespace of our own, which hears of the host's mounts but tells nothing back: what is
// mounted for a sandbox goes with its last process.
[[nodiscard]] Status enter_private_mount_namespace();

}  // namespace coffer::shim
