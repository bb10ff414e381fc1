// Child processes, held by pidfd: no pid is ever reused under us, and no SIGCHLD handler is needed.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"

namespace coffer {

struct SpawnOptions {
  // No aggregate: gcc 12 miscompiles one made within a co_await expression.
  SpawnOptions() = default;

  // argv[0] is the program: a path, used as it is. No PATH search, no shell.
  std::vector<std::string> argv;
  // Program to execute when argv[0] is to read otherwise.
  std::optional<std::string> program;
  // "NAME=value". Empty optional: ours.
  std::optional<std::vector<std::string>> env;
  std::string cwd;  // empty: ours
  // {child's number, our descriptor}. All others are closed in the child; 0, 1 and 2 are /dev/null
  // unless named here.
  std::vector<std::pair<int, int>> fds;
  int netns_fd = -1;               // entered with setns(CLONE_NEWNET) before exec
  bool new_session = false;        // setsid: own session and process group
  bool new_process_group = false;  // setpgid(0, 0)
  int parent_death_signal = 0;     // PR_SET_PDEATHSIG; tied to the spawning thread
  std::optional<int> oom_score_adj;
};

// A child. Destroyed while it runs: it is killed with SIGKILL and reaped.
class Child {
 public:
  Child(Child&&) noexcept = default;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  // Reaps. Any number of times; later calls return the same.
  [[nodiscard]] Task<Result<ExitStatus>> wait();
  // Empty at the deadline.
  [[nodiscard]] Task<Result<std::optional<ExitStatus>>> wait_until(Deadline deadline);
  // kNotFound when it is gone.
  Status kill(int signal) const;
  // Leaves it running, unowned: its pidfd.
  [[nodiscard]] Fd release();

 private:
  friend Result<Child> spawn(const SpawnOptions& options);
  Child(int pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void destroy();

  int pid_ = -1;
  Fd pidfd_;
  std::optional<ExitStatus> status_;
};

// Starts a program. An error of the child before its exec is returned here, with the step named
// ("spawn '/usr/bin/crun': exec: No such file or directory").
[[nodiscard]] Result<Child> spawn(const SpawnOptions& options);

struct RunOptions {
  RunOptions() = default;  // no aggregate, as above

  std::string input = {};                            // written to stdin
  std::size_t output_limit = std::size_t{1} << 20U;  // of stdout and of stderr, each
  Deadline deadline = {};
};

struct RunResult {
  ExitStatus status;
  std::string out;
  std::string err;
};

// Runs to completion. `options.fds` may name further descriptors, not 0, 1 or 2. kDeadlineExceeded:
// the child was killed. kResourceExhausted: it wrote more than the limit, and was killed.
[[nodiscard]] Task<Result<RunResult>> run(SpawnOptions options, RunOptions run_options = {});

}  // namespace coffer
