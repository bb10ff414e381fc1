// Containers are made by crun; this is the one place that runs it. The agent then supervises the
// processes itself, as conmon does: crun leaves the container's init (and an exec'd process)
// behind, and the agent, as sub-reaper, becomes its parent.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest-agent/stdio.h"

namespace coffer::agent {

class ChildRegistry;

struct CrunSettings {
  std::filesystem::path program = "/usr/bin/crun";
  std::filesystem::path state_dir = "/run/crun";
  // For console sockets, process files and logs: short names, since a socket's path has 107 bytes.
  std::filesystem::path scratch_dir = "/run/coffer";
  // False where no cgroup v2 controllers can be used (tests on a host with cgroup v1).
  bool cgroups = true;
  std::uint32_t pipe_size = 0;
};

// A process that runs, with the agent's ends of its stdio.
struct Started {
  int pid = -1;
  Fd pidfd;
  Stdio stdio;
};

class Crun {
 public:
  Crun(asio::any_io_executor executor, CrunSettings settings, ChildRegistry& children, Logger log);

  // Makes the container from bundle/config.json; its init waits for start(). The messages of errors
  // are crun's own.
  [[nodiscard]] Task<Result<Started>> create(std::string id, std::filesystem::path bundle,
                                             bool terminal);
  // By crun's own exec.fifo: what `crun start` does when there is no poststart hook, without paying
  // for a program (which costs much in an emulated guest).
  [[nodiscard]] Status start(const std::string& id) const;
  // `crun start`, which runs poststart hooks.
  [[nodiscard]] Task<Status> start_with_hooks(std::string id);
  // `process` is the JSON text of an OCI process. It may hold secrets: it, and the file in
  // scratch_dir that crun reads, are wiped.
  [[nodiscard]] Task<Result<Started>> exec(std::string id, std::string process, bool terminal);
  // `resources` is the JSON text of OCI LinuxResources.
  [[nodiscard]] Task<Status> update(std::string id, std::string resources);
  // `crun delete --force`, which runs poststop hooks. A container that crun does not know is no
  // error.
  [[nodiscard]] Task<Status> remove_with_hooks(std::string id);
  // Forgets a container whose processes are gone.
  [[nodiscard]] Status forget(const std::string& id) const;

  [[nodiscard]] const CrunSettings& settings() const { return settings_; }

 private:
  struct Console;

  [[nodiscard]] Task<Result<Started>> launch(std::vector<std::string> arguments, bool terminal);
  [[nodiscard]] Task<Status> run(std::vector<std::string> arguments,
                                 std::vector<std::pair<int, int>> fds);
  [[nodiscard]] Status make_copy();
  [[nodiscard]] std::filesystem::path scratch(std::string_view suffix);

  asio::any_io_executor executor_;
  CrunSettings settings_;
  ChildRegistry& children_;
  Logger log_;
  Fd copy_;  // of the program, sealed: what is run
  std::uint64_t next_scratch_ = 0;
};

}  // namespace coffer::agent
