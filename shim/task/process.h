// One process of a container, from its creation to its exit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "rpc/protos/oci.pb.h"
#include "shim/sandbox/agent_client.h"
#include "shim/task/stdio.h"

namespace coffer::shim {

struct WallTime {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
};
[[nodiscard]] WallTime wall_time_now();

struct ProcessExit {
  std::uint32_t status = 0;  // as a shell counts
  WallTime at;
};

inline constexpr std::uint32_t kExitUnknown = 255;  // containerd's own number for it
inline constexpr std::uint32_t kExitKilled = 137;

enum class ProcessState { kCreated, kRunning, kStopped };

class Process {
 public:
  // `agent` null: a process that never was in a guest (tests of the state alone).
  Process(asio::any_io_executor executor, std::shared_ptr<AgentClient> agent, ProcessName name,
          StdioPaths paths, Logger log);

  [[nodiscard]] const std::string& exec_id() const { return name_.exec_id; }
  [[nodiscard]] bool is_init() const { return name_.exec_id.empty(); }
  [[nodiscard]] ProcessState state() const { return state_; }
  [[nodiscard]] const std::optional<ProcessExit>& exit() const { return exited_.peek(); }
  [[nodiscard]] ProcessStdio& stdio() { return stdio_; }
  [[nodiscard]] Future<ProcessExit>& exited() { return exited_; }

  // Starts what the guest has made ready (init), or makes and starts it (exec). On success the
  // process runs and its streams flow.
  [[nodiscard]] Task<Status> start(const grpc::Process* exec_spec);
  // Waits for the outputs to end and for the guest to say how the process ended. Does not publish
  // it: see finish(). `vm_gone` tells a killed process from one of which nothing is known.
  [[nodiscard]] Task<std::uint32_t> wait_end();
  // From here on it is stopped, and waiters go on.
  void finish(std::uint32_t status);

  [[nodiscard]] Task<Status> signal(std::uint32_t number);
  // Remembered while it has not started.
  [[nodiscard]] Task<Status> resize(std::uint32_t width, std::uint32_t height);
  Task<void> close();

 private:
  [[nodiscard]] Task<Status> send_size();
  Task<void> watch_stalled_readers();

  std::shared_ptr<AgentClient> agent_;  // shared: with the sandbox
  ProcessName name_;
  Logger log_;
  ProcessState state_ = ProcessState::kCreated;
  ProcessStdio stdio_;
  bool terminal_;
  bool killed_ = false;
  struct Size {
    std::uint32_t width, height;
  };
  std::optional<Size> size_;
  Future<ProcessExit> exited_;
  Scope scope_;
};

}  // namespace coffer::shim
