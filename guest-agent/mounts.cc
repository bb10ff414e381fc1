#include "guest-agent/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <memory>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "guest-agent/mount_options.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

// Where to mount: looked up anew for each step, since a mount covers what it is mounted on.
struct Place {
  Fd parent;
  std::string name;
};

bool binds_file(const MountRequest& request, bool bind) {
  struct stat source{};
  return bind && ::stat(request.source.c_str(), &source) == 0 && !S_ISDIR(source.st_mode);
}

Result<Place> make_mount_point(const MountRequest& request, bool file) {
  const fs::path target = fs::path(request.target).lexically_normal();
  // "/a/b/" and "/a/b" are the same place.
  const fs::path whole = target.has_filename() ? target : target.parent_path();
  Place place{.parent = {}, .name = whole.filename().native()};
  if (place.name.empty())
    return fail(Code::kInvalidArgument,
                fmt::format("make mount point '{}': it is the root", request.target));
  COFFER_TRY(place.parent, open_directories(whole.parent_path().native()));
  const int parent = place.parent.get();
  const char* name = place.name.c_str();
  const bool made =
      file ? Fd(::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)).valid()
           : ::mkdirat(parent, name, 0755) == 0;
  if (!made && errno != EEXIST)
    return fail_errno(errno, fmt::format("make mount point '{}'", request.target));
  return place;
}

Status mount_step(const MountRequest& request, const Place& place, const char* type,
                  unsigned long flags, const char* data) {
  const Fd at(::openat(place.parent.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!at.valid() || ::fstat(at.get(), &info) != 0)
    return fail_errno(errno, fmt::format("open mount point '{}'", request.target));
  if (S_ISLNK(info.st_mode))
    return fail_errno(ELOOP, fmt::format("open mount point '{}'", request.target));
  const auto target = fmt::format("/proc/self/fd/{}", at.get());
  if (::mount(request.source.c_str(), target.c_str(), type, flags, data) != 0)
    return fail_errno(errno, fmt::format("mount '{}' on '{}' ({})", request.source, request.target,
                                         type == nullptr ? "bind" : type));
  return {};
}

// A directory of the tree below `root`, "" being `root` itself. It is looked up anew each time, so
// that depth costs no descriptors; what a container moves or links meanwhile is not followed.
Result<Fd> open_in_tree(int root, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  const auto fd =
      ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof(how));
  if (fd >= 0) return Fd(static_cast<int>(fd));
  if (errno == EXDEV)
    return fail(Code::kFailedPrecondition,
                fmt::format("remove '{}': something is mounted there", path));
  return fail_errno(errno, fmt::format("open '{}'", path));
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Removes what is no directory; the names of the directories that stay.
Result<std::vector<std::string>> remove_files(Fd directory, const std::string& path) {
  const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(directory.get()));
  if (!dir) return fail_errno(errno, fmt::format("list '{}'", path));
  const int fd = directory.release();  // closed with `dir`
  std::vector<std::string> rest;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name(entry->d_name);
    if (name == "." || name == "..") continue;
    if (::unlinkat(fd, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR) return fail_errno(errno, fmt::format("remove '{}/{}'", path, name));
    rest.push_back(name);
  }
  return rest;
}

Status remove_directory(int root, const std::string& path) {
  const fs::path whole(path);
  COFFER_TRY(const auto parent, open_in_tree(root, whole.parent_path().native()));
  if (::unlinkat(parent.get(), whole.filename().c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return fail_errno(errno, fmt::format("remove '{}'", path));
  return {};
}

// Everything in it. Directories to visit are kept on a list: depth is the tree's, not the stack's.
Status empty_tree(int root) {
  std::vector<std::pair<std::string, bool>> todo{{"", false}};  // {directory, its files are gone}
  while (!todo.empty()) {
    const auto [path, listed] = todo.back();
    if (listed) {
      if (!path.empty()) COFFER_TRY_VOID(remove_directory(root, path));
      todo.pop_back();
      continue;
    }
    todo.back().second = true;
    COFFER_TRY(auto directory, open_in_tree(root, path));
    COFFER_TRY(const auto inner, remove_files(std::move(directory), path));
    for (const auto& name : inner)
      todo.emplace_back(path.empty() ? name : path + "/" + name, false);
  }
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
  COFFER_TRY(const auto place, make_mount_point(request, binds_file(request, bind)));
  const auto step = [&](const char* type, unsigned long flags, const char* data) {
    return mount_step(request, place, type, flags, data);
  };
  if (bind) {
    COFFER_TRY_VOID(step(nullptr, MS_BIND | (options.flags & MS_REC), nullptr));
    const auto rest = options.flags & ~static_cast<unsigned long>(MS_BIND | MS_REC);
    if (rest != 0) COFFER_TRY_VOID(step(nullptr, MS_REMOUNT | MS_BIND | rest, nullptr));
  } else {
    COFFER_TRY_VOID(step(request.type.c_str(), options.flags, options.data.c_str()));
  }
  if (options.propagation != 0) COFFER_TRY_VOID(step(nullptr, options.propagation, nullptr));
  return {};
}

Result<Fd> open_directories(const std::string& path) {
  COFFER_TRY_VOID(check_path(path, "directory"));
  COFFER_TRY(auto here, open_file("/", O_RDONLY | O_DIRECTORY));
  for (const auto& part : fs::path(path).lexically_normal().relative_path()) {
    if (part.empty()) continue;
    if (::mkdirat(here.get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno(errno, fmt::format("make directory '{}'", path));
    Fd next(::openat(here.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) return fail_errno(errno, fmt::format("open directory '{}'", path));
    here = std::move(next);
  }
  return here;
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
  const auto failed = [&] { return fail_errno(errno, fmt::format("remove '{}'", path.string())); };
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR) return failed();
  const Fd root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) return failed();
  COFFER_TRY_VOID(empty_tree(root.get()));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return failed();
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
