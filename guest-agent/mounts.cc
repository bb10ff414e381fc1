#include "guest-agent/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <vector>

#include "base/fd.h"
#include "guest-agent/mount_options.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

Status make_mount_point(const MountRequest& request, bool bind) {
  struct stat source{};
  const bool file =
      bind && ::stat(request.source.c_str(), &source) == 0 && !S_ISDIR(source.st_mode);
  std::error_code error;
  const fs::path target(request.target);
  fs::create_directories(file ? target.parent_path() : target, error);
  if (error) return fail_errno(error.value(), fmt::format("make mount point '{}'", request.target));
  if (file && !fs::exists(target, error)) return write_file(target, "", 0644);
  return {};
}

Status mount_step(const MountRequest& request, const char* type, unsigned long flags,
                  const char* data) {
  if (::mount(request.source.c_str(), request.target.c_str(), type, flags, data) != 0)
    return fail_errno(errno, fmt::format("mount '{}' on '{}' ({})", request.source, request.target,
                                         type == nullptr ? "bind" : type));
  return {};
}

// Directories to visit are kept on a list: depth is the tree's, not the stack's.
struct Walk {
  std::vector<std::pair<fs::path, bool>> todo;  // {directory, its entries were listed}
};

Status remove_entry(const fs::path& path, dev_t device, Walk& walk) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0)
    return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("stat '{}'", path.string()));
  if (S_ISDIR(info.st_mode)) {
    if (info.st_dev != device)
      return fail(Code::kFailedPrecondition,
                  fmt::format("remove '{}': it is another file system", path.string()));
    walk.todo.emplace_back(path, false);
    return {};
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, fmt::format("remove '{}'", path.string()));
  return {};
}

}  // namespace

Status check_path(std::string_view path, std::string_view what) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("read {} '{}': {}", what, path, why));
  };
  if (!path.starts_with('/')) return refuse("want an absolute path");
  if (path.size() >= PATH_MAX) return refuse("too long");
  if (path.find('\0') != std::string_view::npos) return refuse("it holds a NUL byte");
  for (std::size_t at = 0; (at = path.find("..", at)) != std::string_view::npos; at += 2) {
    const bool starts = path[at - 1] == '/';
    const bool ends = at + 2 == path.size() || path[at + 2] == '/';
    if (starts && ends) return refuse("'..' is not allowed");
  }
  return {};
}

Status mount_at(const MountRequest& request) {
  COFFER_TRY_VOID(check_path(request.target, "mount point"));
  COFFER_TRY(const auto options, parse_mount_options(request.options));
  const bool bind = options.is_bind() || request.type == "bind";
  COFFER_TRY_VOID(make_mount_point(request, bind));
  if (bind) {
    COFFER_TRY_VOID(mount_step(request, nullptr, MS_BIND | (options.flags & MS_REC), nullptr));
    const auto rest = options.flags & ~static_cast<unsigned long>(MS_BIND | MS_REC);
    if (rest != 0)
      COFFER_TRY_VOID(mount_step(request, nullptr, MS_REMOUNT | MS_BIND | rest, nullptr));
  } else {
    COFFER_TRY_VOID(mount_step(request, request.type.c_str(), options.flags, options.data.c_str()));
  }
  if (options.propagation != 0)
    COFFER_TRY_VOID(mount_step(request, nullptr, options.propagation, nullptr));
  return {};
}

Status unmount(const std::string& target) {
  if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL ||
      errno == ENOENT)
    return {};
  return fail_errno(errno, fmt::format("unmount '{}'", target));
}

bool is_mount_point(const fs::path& path) {
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) != 0) return false;
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

Status remove_tree(const fs::path& path) {
  struct stat root{};
  if (::lstat(path.c_str(), &root) != 0)
    return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("stat '{}'", path.string()));
  Walk walk;
  COFFER_TRY_VOID(remove_entry(path, root.st_dev, walk));
  while (!walk.todo.empty()) {
    auto& [directory, listed] = walk.todo.back();
    if (listed) {
      if (::rmdir(directory.c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, fmt::format("remove '{}'", directory.string()));
      walk.todo.pop_back();
      continue;
    }
    listed = true;
    const fs::path here = directory;
    std::error_code error;
    for (auto it = fs::directory_iterator(here, error); !error && it != fs::directory_iterator();
         it.increment(error))
      COFFER_TRY_VOID(remove_entry(it->path(), root.st_dev, walk));
  }
  return {};
}

Status apply_fs_group(const fs::path& root, std::uint32_t gid, bool read_only,
                      bool on_root_mismatch) {
  constexpr mode_t kDirectoryBits = S_ISGID | 0110;
  const mode_t file_bits = read_only ? 0440 : 0660;
  struct stat info{};
  if (::stat(root.c_str(), &info) != 0)
    return fail_errno(errno, fmt::format("stat '{}'", root.string()));
  const mode_t wanted = file_bits | kDirectoryBits;
  if (on_root_mismatch && info.st_gid == gid && (info.st_mode & wanted) == wanted) return {};
  std::vector<fs::path> todo{root};
  while (!todo.empty()) {
    const auto path = std::move(todo.back());
    todo.pop_back();
    // O_NOFOLLOW: links are left alone, and none is followed between the look and the change.
    const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) {
      if (errno == ELOOP || errno == ENXIO) continue;
      return fail_errno(errno, fmt::format("open '{}'", path.string()));
    }
    if (::fstat(fd.get(), &info) != 0)
      return fail_errno(errno, fmt::format("stat '{}'", path.string()));
    const bool directory = S_ISDIR(info.st_mode);
    const mode_t mode = (info.st_mode & 07777) | file_bits | (directory ? kDirectoryBits : 0);
    if (::fchown(fd.get(), static_cast<uid_t>(-1), gid) != 0 || ::fchmod(fd.get(), mode) != 0)
      return fail_errno(errno, fmt::format("give '{}' to group {}", path.string(), gid));
    if (!directory) continue;
    std::error_code error;
    for (auto it = fs::directory_iterator(path, error); !error && it != fs::directory_iterator();
         it.increment(error))
      todo.push_back(it->path());
  }
  return {};
}

}  // namespace coffer::agent
