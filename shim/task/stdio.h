// The streams of one process: from the guest agent to what containerd named, and back.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/subprocess.h"
#include "shim/sandbox/agent_client.h"
#include "shim/task/stdio_target.h"

namespace coffer::shim {

struct StdioPaths {
  // As containerd gives them: a fifo's path, fifo://, file://, binary://, or "" for none.
  std::string in, out, err;
  bool terminal = false;  // then `err` is unused
};

struct ProcessName {
  std::string containerd_namespace;
  std::string container_id;
  std::string exec_id;  // "": the container's init
};

// Each stream moves by itself: a reader that stops holds up only its own. What is under way is
// bounded (kChunk times kChunksInFlight a stream), so a stopped reader stops the writer in the end.
class ProcessStdio {
 public:
  static constexpr std::uint32_t kChunk = std::uint32_t{256} << 10U;
  static constexpr std::size_t kChunksInFlight = 4;

  ProcessStdio(asio::any_io_executor executor, std::shared_ptr<AgentClient> agent, ProcessName name,
               StdioPaths paths, Logger log);
  ProcessStdio(const ProcessStdio&) = delete;
  ProcessStdio& operator=(const ProcessStdio&) = delete;
  ~ProcessStdio() = default;

  // Opens what the paths name, and waits for a logger program to be ready.
  [[nodiscard]] Task<Status> open();
  // Starts copying. The process must exist in the guest.
  void start();
  // The bytes that are queued already still reach the process; then its stdin ends.
  void close_stdin();
  // Both outputs have ended and everything read has been written.
  Task<void> drained();
  // Stops waiting for readers that do not read: what they have not taken is lost.
  void give_up();
  // Bytes written to readers so far; to see whether they make progress.
  [[nodiscard]] std::uint64_t written() const { return written_; }
  // Stops everything. Await before destruction.
  Task<void> close();

  [[nodiscard]] const StdioPaths& paths() const { return paths_; }

 private:
  struct Output {
    Output(asio::any_io_executor executor, std::string rpc_method)
        : method(std::move(rpc_method)), queue(executor, kChunksInFlight), done(executor) {}
    std::string method;
    OutputTarget target;
    Queue<std::string> queue;
    Event done;
  };

  void start_output(Output& output);
  Task<void> read_output(Output& output);
  Task<void> write_output(Output& output);
  Task<void> read_stdin();
  Task<void> finish_stdin();
  Task<void> write_stdin();
  bool read_stdin_chunk();

  std::shared_ptr<AgentClient> agent_;  // shared: with the sandbox and its other processes
  ProcessName name_;
  StdioPaths paths_;
  Logger log_;
  Output stdout_;
  Output stderr_;
  std::optional<Child> logger_;
  Fd stdin_;
  Fd stdin_keeper_;  // a writer of ours, so that a client that goes away is no end of input
  Queue<std::string> stdin_queue_;
  bool started_ = false;
  bool stdin_ended_ = false;
  std::uint64_t written_ = 0;
  Scope readers_;
  Scope writers_;
  Scope stdin_reader_;
};

}  // namespace coffer::shim
