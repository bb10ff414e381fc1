#include "shim/sandbox/mounts.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/fd.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

struct FlagOption {
  std::string_view name;
  unsigned long set, clear;
};

constexpr std::array kFlagOptions = {
    FlagOption{.name = "ro", .set = MS_RDONLY, .clear = 0},
    FlagOption{.name = "rw", .set = 0, .clear = MS_RDONLY},
    FlagOption{.name = "nosuid", .set = MS_NOSUID, .clear = 0},
    FlagOption{.name = "suid", .set = 0, .clear = MS_NOSUID},
    FlagOption{.name = "nodev", .set = MS_NODEV, .clear = 0},
    FlagOption{.name = "dev", .set = 0, .clear = MS_NODEV},
    FlagOption{.name = "noexec", .set = MS_NOEXEC, .clear = 0},
    FlagOption{.name = "exec", .set = 0, .clear = MS_NOEXEC},
    FlagOption{.name = "sync", .set = MS_SYNCHRONOUS, .clear = 0},
    FlagOption{.name = "async", .set = 0, .clear = MS_SYNCHRONOUS},
    FlagOption{.name = "dirsync", .set = MS_DIRSYNC, .clear = 0},
    FlagOption{.name = "noatime", .set = MS_NOATIME, .clear = 0},
    FlagOption{.name = "atime", .set = 0, .clear = MS_NOATIME},
    FlagOption{.name = "nodiratime", .set = MS_NODIRATIME, .clear = 0},
    FlagOption{.name = "diratime", .set = 0, .clear = MS_NODIRATIME},
    FlagOption{.name = "relatime", .set = MS_RELATIME, .clear = 0},
    FlagOption{.name = "norelatime", .set = 0, .clear = MS_RELATIME},
    FlagOption{.name = "strictatime", .set = MS_STRICTATIME, .clear = 0},
    FlagOption{.name = "bind", .set = MS_BIND, .clear = 0},
    FlagOption{.name = "rbind", .set = MS_BIND | MS_REC, .clear = 0},
    FlagOption{.name = "remount", .set = MS_REMOUNT, .clear = 0},
    FlagOption{.name = "defaults", .set = 0, .clear = 0},
};

constexpr std::array kPropagation = {
    FlagOption{.name = "private", .set = MS_PRIVATE, .clear = 0},
    FlagOption{.name = "rprivate", .set = MS_PRIVATE | MS_REC, .clear = 0},
    FlagOption{.name = "shared", .set = MS_SHARED, .clear = 0},
    FlagOption{.name = "rshared", .set = MS_SHARED | MS_REC, .clear = 0},
    FlagOption{.name = "slave", .set = MS_SLAVE, .clear = 0},
    FlagOption{.name = "rslave", .set = MS_SLAVE | MS_REC, .clear = 0},
    FlagOption{.name = "unbindable", .set = MS_UNBINDABLE, .clear = 0},
    FlagOption{.name = "runbindable", .set = MS_UNBINDABLE | MS_REC, .clear = 0},
};

constexpr std::string_view kLowerDir = "lowerdir=";

// The longest folder that every layer lies in.
std::string common_folder(std::string_view layers) {
  std::string common;
  bool first = true;
  while (!layers.empty()) {
    const auto colon = std::min(layers.find(':'), layers.size());
    const std::string_view layer = layers.substr(0, colon);
    layers.remove_prefix(std::min(colon + 1, layers.size()));
    if (first) {
      common = fs::path(layer).parent_path().native();
      first = false;
    }
    while (!common.empty() && !layer.starts_with(common + "/")) {
      common = common == "/" ? "" : fs::path(common).parent_path().native();
      if (common == "/") common.clear();
    }
  }
  return common;
}

// mount(2) takes one page of data. Many layers do not fit with full paths, so they are named
// relative to their common folder, which is made the working directory for the call.
struct CompactData {
  std::string folder, data;
};

CompactData compact_overlay_data(std::string_view data) {
  CompactData out;
  const auto start = data.find(kLowerDir);
  if (start == std::string_view::npos) return {.folder = "", .data = std::string(data)};
  const auto list = start + kLowerDir.size();
  const auto end = std::min(data.find(',', list), data.size());
  const std::string_view layers = data.substr(list, end - list);
  out.folder = common_folder(layers);
  if (out.folder.empty()) return {.folder = "", .data = std::string(data)};
  out.data = std::string(data.substr(0, list));
  for (std::size_t at = 0; at < layers.size();) {
    const auto colon = std::min(layers.find(':', at), layers.size());
    if (at != 0) out.data.push_back(':');
    out.data.append(layers.substr(at + out.folder.size() + 1, colon - at - out.folder.size() - 1));
    at = colon + 1;
  }
  out.data.append(data.substr(end));
  return out;
}

Status mount_long_overlay(const HostMount& mount, const fs::path& target,
                          const ParsedOptions& options) {
  const CompactData compact = compact_overlay_data(options.data);
  COFFER_TRY(const Fd previous, open_file(".", O_RDONLY | O_DIRECTORY));
  if (!compact.folder.empty() && ::chdir(compact.folder.c_str()) != 0) {
    return fail_errno(errno, fmt::format("enter '{}'", compact.folder));
  }
  const int mounted = ::mount(mount.source.c_str(), target.c_str(), mount.type.c_str(), options.set,
                              compact.data.c_str());
  const int error = errno;
  if (::fchdir(previous.get()) != 0) return fail_errno(errno, "return to the working directory");
  if (mounted != 0) return fail_errno(error, fmt::format("mount overlay on '{}'", target.native()));
  return {};
}

Status raw_mount(const HostMount& mount, const fs::path& target, unsigned long flags,
                 const char* data) {
  const char* type = mount.type.empty() ? nullptr : mount.type.c_str();
  if (::mount(mount.source.c_str(), target.c_str(), type, flags, data) == 0) return {};
  return fail_errno(
      errno, fmt::format("mount {} '{}' on '{}'", mount.type, mount.source, target.native()));
}

// Octal escapes of /proc/self/mountinfo: space, tab, newline, backslash.
std::string unescape(std::string_view field) {
  constexpr std::size_t kDigits = 3;
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    unsigned value = 0;
    if (field[i] == '\\' && i + kDigits < field.size() + 0 &&
        std::from_chars(&field[i + 1], &field[i + 1] + kDigits, value, 8).ec == std::errc{}) {
      out.push_back(static_cast<char>(value));
      i += kDigits;
    } else {
      out.push_back(field[i]);
    }
  }
  return out;
}

// Field 5 of a mountinfo line.
std::string mount_point_of(std::string_view line) {
  constexpr int kFieldsBefore = 4;
  for (int i = 0; i < kFieldsBefore; ++i) {
    line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
  }
  return unescape(line.substr(0, line.find(' ')));
}

Status make_target_like(const fs::path& source, const fs::path& target) {
  struct stat info{};
  if (::stat(source.c_str(), &info) != 0) {
    return fail_errno(errno, fmt::format("look at '{}'", source.native()));
  }
  std::error_code error;
  fs::create_directories(S_ISDIR(info.st_mode) ? target : target.parent_path(), error);
  if (error) return fail_errno(error.value(), fmt::format("make '{}'", target.native()));
  if (S_ISDIR(info.st_mode)) return {};
  COFFER_TRY([[maybe_unused]] const Fd made,
             open_file(target, O_CREAT | O_WRONLY | O_NOFOLLOW, 0600));
  return {};
}

std::uint64_t mount_attributes(unsigned long flags) {
  std::uint64_t attributes = 0;
  if ((flags & MS_RDONLY) != 0) attributes |= MOUNT_ATTR_RDONLY;
  if ((flags & MS_NOSUID) != 0) attributes |= MOUNT_ATTR_NOSUID;
  if ((flags & MS_NODEV) != 0) attributes |= MOUNT_ATTR_NODEV;
  if ((flags & MS_NOEXEC) != 0) attributes |= MOUNT_ATTR_NOEXEC;
  return attributes;
}

// The attributes are set before the mount is attached: the copies that propagation makes of it then
// have them too, which a later remount would not reach.
Status bind_with(const fs::path& source, const fs::path& target, bool recursive,
                 std::uint64_t attributes) {
  const unsigned recurse = recursive ? AT_RECURSIVE : 0;
  const Fd tree(
      ::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recurse));
  if (!tree.valid()) return fail_errno(errno, fmt::format("bind '{}'", source.native()));
  if (attributes != 0) {
    mount_attr change{};
    change.attr_set = attributes;
    if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | recurse, &change, sizeof(change)) != 0) {
      return fail_errno(errno, fmt::format("restrict the mount of '{}'", source.native()));
    }
  }
  if (::move_mount(tree.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0) {
    return {};
  }
  return fail_errno(errno, fmt::format("bind '{}' on '{}'", source.native(), target.native()));
}

}  // namespace

ParsedOptions parse_mount_options(std::span<const std::string> options) {
  ParsedOptions parsed;
  for (const std::string& option : options) {
    const auto* const flag = std::ranges::find(kFlagOptions, option, &FlagOption::name);
    const auto* const propagation = std::ranges::find(kPropagation, option, &FlagOption::name);
    if (flag != kFlagOptions.end()) {
      parsed.set = (parsed.set & ~flag->clear) | flag->set;
    } else if (propagation != kPropagation.end()) {
      parsed.propagation |= propagation->set;
    } else {
      parsed.data += (parsed.data.empty() ? "" : ",") + option;
    }
  }
  return parsed;
}

Status mount_on(const HostMount& mount, const fs::path& target) {
  const ParsedOptions options = parse_mount_options(mount.options);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  if ((options.set & MS_BIND) != 0) {
    COFFER_TRY_VOID(bind_with(mount.source, target, (options.set & MS_REC) != 0,
                              mount_attributes(options.set)));
  } else if (mount.type == "overlay" && options.data.size() + 1 >= page) {
    COFFER_TRY_VOID(mount_long_overlay(mount, target, options));
  } else {
    COFFER_TRY_VOID(raw_mount(mount, target, options.set, options.data.c_str()));
  }
  if (options.propagation != 0 &&
      ::mount(nullptr, target.c_str(), nullptr, options.propagation, nullptr) != 0) {
    return fail_errno(errno, fmt::format("set the propagation of '{}'", target.native()));
  }
  return {};
}

Status bind_mount(const fs::path& source, const fs::path& target, bool read_only) {
  COFFER_TRY_VOID(make_target_like(source, target));
  return bind_with(source, target, true, read_only ? MOUNT_ATTR_RDONLY : 0);
}

Result<std::vector<std::string>> mounts_below(const fs::path& path) {
  COFFER_TRY(const std::string table, read_file("/proc/self/mountinfo"));
  const std::string prefix = path.native() + "/";
  std::vector<std::string> points;
  std::string_view rest = table;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    std::string point = mount_point_of(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (point == path.native() || point.starts_with(prefix)) points.push_back(std::move(point));
  }
  // Later mounts cover earlier ones.
  std::ranges::reverse(points);
  return points;
}

Status unmount_tree(const fs::path& path) {
  COFFER_TRY(const auto points, mounts_below(path));
  for (const std::string& point : points) {
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
        errno != ENOENT) {
      return fail_errno(errno, fmt::format("unmount '{}'", point));
    }
  }
  return {};
}

Status remove_tree(const fs::path& path) {
  COFFER_TRY_VOID(unmount_tree(path));
  COFFER_TRY(const auto left, mounts_below(path));
  if (!left.empty()) {
    return fail(Code::kFailedPrecondition, fmt::format("remove '{}': still mounted there: {}",
                                                       path.native(), fmt::join(left, ", ")));
  }
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail_errno(error.value(), fmt::format("remove '{}'", path.native()));
  return {};
}

Status enter_private_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
    return fail_errno(errno, "make '/' a slave mount");
  }
  return {};
}

}  // namespace coffer::shim
