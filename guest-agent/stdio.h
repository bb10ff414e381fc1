// The stdio of one process, seen from the agent. Nothing is buffered here: the pipe (or the pty) is
// the bounded buffer, a reader takes what there is, and a process that writes faster than its
// stream is read blocks in its own write. A stalled stream stalls its own callers only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"

namespace coffer::agent {

// What one read returns at most, whatever was asked: a response must fit a frame.
inline constexpr std::uint32_t kMaxRead = std::uint32_t{1} << 20U;

class OutputStream {
 public:
  // `fd` is the reading end of a pipe, or a pty's master; it becomes non-blocking.
  OutputStream(const asio::any_io_executor& executor, Fd fd);
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;
  ~OutputStream();

  // Waits for data and returns at most `limit` bytes; empty at the end: when every writer is gone,
  // or some time after the process has exited although somebody else still holds the other end.
  [[nodiscard]] Task<Result<std::string>> read(std::uint32_t limit);
  // The process has exited: what it wrote is in the pipe already.
  void process_exited();
  void close();

 private:
  asio::posix::stream_descriptor descriptor_;
  asio::steady_timer drain_;
  bool exited_ = false;
  bool drained_ = false;
  // Tells the timer's handler, which may be due already, whether this object is still there.
  std::shared_ptr<OutputStream*> self_ = std::make_shared<OutputStream*>(this);
};

class InputStream {
 public:
  // `fd` is the writing end of a pipe, or a pty's master.
  InputStream(const asio::any_io_executor& executor, Fd fd);
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;
  ~InputStream();

  // Writes all of it, in order of the calls. kFailedPrecondition when the stream is closed, its
  // reader is gone, or the process has exited.
  [[nodiscard]] Task<Status> write(std::string data);
  // After what is being written: the process sees end of file.
  [[nodiscard]] Task<Status> close_after_writes();
  void process_exited();

 private:
  Task<Status> write_all(std::string data);

  asio::posix::stream_descriptor descriptor_;
  AsyncMutex turn_;
  bool exited_ = false;
};

struct Stdio {
  std::unique_ptr<InputStream> in;
  std::unique_ptr<OutputStream> out;
  std::unique_ptr<OutputStream> err;  // none with a terminal
  Fd terminal;                        // the pty's master, for its window size

  void process_exited();
};

// What the child gets as 0, 1 and 2, and the agent's ends of it.
struct StdioPipes {
  Fd child_in, child_out, child_err;
  Stdio ours;
};
// `pipe_size` in bytes; 0 picks 1 MiB, which the kernel allocates as it is used.
[[nodiscard]] Result<StdioPipes> make_pipes(const asio::any_io_executor& executor,
                                            std::uint32_t pipe_size);
[[nodiscard]] Result<Stdio> stdio_of_terminal(const asio::any_io_executor& executor, Fd master);
[[nodiscard]] Status resize_terminal(int master, std::uint32_t rows, std::uint32_t columns);

}  // namespace coffer::agent
