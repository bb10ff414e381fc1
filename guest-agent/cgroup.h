// One cgroup (v2) directory: what containers are limited, frozen, killed and measured by.
// File formats: Linux Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace grpc {
class CgroupStats;
}

namespace coffer::agent {

class Cgroup {
 public:
  // `root` is where cgroup2 is mounted. `path` is the container's CgroupsPath: absolute or relative
  // to the root, never above it (kInvalidArgument); systemd's "slice:prefix:name" form becomes
  // directories, since no systemd runs in this guest.
  [[nodiscard]] static Result<Cgroup> at(const std::filesystem::path& root, std::string_view path);

  // As crun wants it in linux.cgroupsPath: absolute, from the cgroup2 root.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  [[nodiscard]] bool exists() const;

  // Writes cgroup.freeze. The freezer acts at once for every task that is not in the kernel.
  [[nodiscard]] Status freeze(bool frozen) const;
  // SIGKILL to every process in it, forks included (cgroup.kill, Linux 5.14).
  [[nodiscard]] Status kill() const;
  [[nodiscard]] bool populated() const;
  // Removes it and what is below; one that still has processes is kFailedPrecondition.
  [[nodiscard]] Status remove() const;
  [[nodiscard]] Result<grpc::CgroupStats> stats() const;
  // The oom_kill counter of memory.events; 0 when there is none.
  [[nodiscard]] std::uint64_t oom_kills() const;

 private:
  Cgroup(std::filesystem::path directory, std::string path)
      : directory_(std::move(directory)), path_(std::move(path)) {}

  std::filesystem::path directory_;
  std::string path_;
};

// "key value" lines (cpu.stat, memory.stat, memory.events). Lines of another form are skipped.
[[nodiscard]] std::map<std::string, std::uint64_t> parse_flat_keyed(std::string_view text);

struct IoStatLine {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::map<std::string, std::uint64_t> values;  // rbytes, wbytes, rios, wios, ...
};
[[nodiscard]] std::vector<IoStatLine> parse_io_stat(std::string_view text);

// Lets children of `root` use every controller that the kernel offers.
[[nodiscard]] Status enable_controllers(const std::filesystem::path& root);

}  // namespace coffer::agent
