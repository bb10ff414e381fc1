#include "shim/sandbox/cgroup.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

Status check_relative(std::string_view path) {
  for (const fs::path& part : fs::path(path)) {
    if (part == "..") {
      return fail(Code::kInvalidArgument,
                  fmt::format("read cgroupsPath '{}': '..' is not allowed in it", path));
    }
  }
  return {};
}

// "a-b.slice" lies in "a.slice/a-b.slice".
std::string slice_tree(std::string_view slice) {
  constexpr std::string_view kSuffix = ".slice";
  if (slice == "-.slice" || !slice.ends_with(kSuffix)) return "";
  const std::string_view name = slice.substr(0, slice.size() - kSuffix.size());
  std::string path;
  for (std::size_t dash = name.find('-'); dash != std::string_view::npos;
       dash = name.find('-', dash + 1)) {
    path += fmt::format("/{}.slice", name.substr(0, dash));
  }
  return path + fmt::format("/{}", slice);
}

// A v1 cpuset cgroup takes no process until it has CPUs and memory nodes.
void inherit_cpuset(const fs::path& folder) {
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    const auto own = read_file(folder / name, 4096);
    if (!own || own->find_first_not_of(" \n") != std::string::npos) continue;
    const auto parent = read_file(folder.parent_path() / name, 4096);
    if (!parent) continue;
    [[maybe_unused]] const auto ignored = write_file(folder / name, *parent);
  }
}

struct Made {
  std::vector<std::string> folders;  // deepest first
};

// Makes hierarchy/path part by part, so that what was missing is known.
Result<Made> make_cgroup(const fs::path& hierarchy, std::string_view path) {
  Made made;
  fs::path folder = hierarchy;
  for (const fs::path& part : fs::path(path).relative_path()) {
    if (part.empty() || part == ".") continue;
    folder /= part;
    std::error_code error;
    if (fs::create_directory(folder, error)) {
      made.folders.insert(made.folders.begin(), folder.native());
      inherit_cpuset(folder);
    } else if (error) {
      for (const std::string& each : made.folders) ::rmdir(each.c_str());
      return fail_errno(error.value(), fmt::format("make cgroup '{}'", folder.native()));
    }
  }
  return made;
}

Status join_one(const fs::path& hierarchy, std::string_view path,
                std::vector<std::string>& folders) {
  COFFER_TRY(const Made made, make_cgroup(hierarchy, path));
  const fs::path leaf = hierarchy / fs::path(path).relative_path();
  if (const auto joined = write_file(leaf / "cgroup.procs", "0"); !joined) {
    for (const std::string& each : made.folders) ::rmdir(each.c_str());
    return joined;
  }
  folders.insert(folders.end(), made.folders.begin(), made.folders.end());
  return {};
}

std::vector<fs::path> hierarchies(const fs::path& root) {
  if (is_unified(root)) return {root};
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    // Symlinks are other names of joint controllers ("cpu" of "cpu,cpuacct").
    if (entry.is_directory(error) && !entry.is_symlink(error)) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

void move_processes_up(const fs::path& folder) {
  const auto processes = read_file(folder / "cgroup.procs");
  if (!processes) return;
  std::string_view rest = *processes;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    [[maybe_unused]] const auto ignored =
        write_file(folder.parent_path() / "cgroup.procs", rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace

bool is_unified(const fs::path& root) {
  struct statfs info{};
  return ::statfs(root.c_str(), &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

Result<std::string> cgroup_path(std::string_view oci_path) {
  COFFER_TRY_VOID(check_relative(oci_path));
  const auto first = oci_path.find(':');
  if (first == std::string_view::npos) return std::string(oci_path);
  const auto second = oci_path.find(':', first + 1);
  if (second == std::string_view::npos || oci_path.find('/') != std::string_view::npos) {
    return fail(Code::kInvalidArgument,
                fmt::format("read cgroupsPath '{}': want a path or 'slice:prefix:name'", oci_path));
  }
  const std::string_view slice = oci_path.substr(0, first);
  const std::string_view prefix = oci_path.substr(first + 1, second - first - 1);
  return fmt::format("{}/{}-{}.scope", slice_tree(slice.empty() ? "system.slice" : slice), prefix,
                     oci_path.substr(second + 1));
}

Result<std::vector<std::string>> join_cgroup(std::string_view path, const fs::path& root) {
  std::vector<std::string> folders;
  Status last = fail(Code::kUnavailable,
                     fmt::format("join cgroup '{}': no hierarchy below '{}'", path, root.native()));
  bool joined = false;
  for (const fs::path& hierarchy : hierarchies(root)) {
    auto status = join_one(hierarchy, path, folders);
    joined = joined || status.has_value();
    if (!status) last = std::move(status);
  }
  if (!joined) return std::unexpected(std::move(last).error());
  return folders;
}

Status remove_cgroup(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> children;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_directory(error)) children.push_back(entry.path());
  }
  std::ranges::reverse(children);
  for (const fs::path& child : children) ::rmdir(child.c_str());
  if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return {};
  if (errno == EBUSY) {
    move_processes_up(folder);
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return {};
  }
  return fail_errno(errno, fmt::format("remove cgroup '{}'", folder.native()));
}

}  // namespace coffer::shim
