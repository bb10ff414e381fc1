// A process of a container: how it ended, and its stdio.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"
#include "guest-agent/crun.h"
#include "guest-agent/stdio.h"

namespace coffer::agent {

class Process {
 public:
  Process(const asio::any_io_executor& executor, std::string exec_id, Started started)
      : exec_id_(std::move(exec_id)),
        pid_(started.pid),
        pidfd_(std::move(started.pidfd)),
        stdio_(std::move(started.stdio)),
        exit_(executor) {}

  [[nodiscard]] const std::string& exec_id() const { return exec_id_; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] Stdio& stdio() { return stdio_; }
  [[nodiscard]] bool exited() const { return exit_.ready(); }
  // Somebody has been told how it ended: for the API the process is gone. Its output can be read
  // on.
  [[nodiscard]] bool waited() const { return waited_; }

  // Waits for its end, reaps it, and lets its streams run dry.
  [[nodiscard]] Task<void> supervise();
  // As a shell counts: the code, or 128 + signal.
  [[nodiscard]] Task<int> wait();
  // True when it has ended by then; nobody is told.
  [[nodiscard]] Task<bool> wait_ended(Deadline deadline);
  // A process that has ended already is no error.
  [[nodiscard]] Status kill(int signal) const;
  // Whether the process blocks, ignores or catches `signal`.
  [[nodiscard]] bool minds(int signal) const;

 private:
  std::string exec_id_;
  int pid_;
  Fd pidfd_;
  Stdio stdio_;
  Future<int> exit_;
  bool waited_ = false;
};

}  // namespace coffer::agent
