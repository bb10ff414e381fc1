#include "shim/task/stdio.h"

#include <fmt/core.h>
#include <unistd.h>

#include <string_view>

#include "shim/task/logger_program.h"

namespace coffer::shim {
namespace {

// Sets the event however its coroutine ends.
class SetAtEnd {
 public:
  explicit SetAtEnd(Event& event) : event_(event) {}
  SetAtEnd(const SetAtEnd&) = delete;
  SetAtEnd& operator=(const SetAtEnd&) = delete;
  ~SetAtEnd() { event_.set(); }

 private:
  Event& event_;
};

// `written` counts as it goes, so that progress shows within one chunk.
Task<Status> write_chunk(const OutputTarget& target, std::string_view bytes,
                         std::uint64_t& written) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(target.fd.get(), bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      written += static_cast<std::uint64_t>(count);
    } else if (errno == EAGAIN && target.pollable) {
      const Result<bool> writable = co_await wait_writable(target.fd.get());
      if (!writable) co_return std::unexpected(writable.error());
    } else if (errno != EINTR) {
      co_return fail_errno(errno, "write a process' output");
    }
  }
  co_return Status{};
}

}  // namespace

ProcessStdio::ProcessStdio(asio::any_io_executor executor, std::shared_ptr<AgentClient> agent,
                           ProcessName name, StdioPaths paths, Logger log)
    : agent_(std::move(agent)),
      name_(std::move(name)),
      paths_(std::move(paths)),
      log_(std::move(log)),
      stdout_(executor, "ReadStdout"),
      stderr_(executor, "ReadStderr"),
      stdin_queue_(executor, kChunksInFlight),
      readers_(executor),
      writers_(executor),
      stdin_reader_(executor) {}

Task<Status> ProcessStdio::open() {
  COFFER_CO_TRY(const StdioAddress out, parse_stdio_address(paths_.out));
  COFFER_CO_TRY(const StdioAddress err,
                parse_stdio_address(paths_.terminal ? std::string() : paths_.err));
  using Kind = StdioAddress::Kind;
  if (out.kind == Kind::kBinary || out.kind == Kind::kBinaryV2) {
    Result<LoggerProgram> logger =
        co_await start_logger(out, name_.containerd_namespace, name_.container_id);
    if (!logger) co_return std::unexpected(std::move(logger).error());
    logger_.emplace(std::move(logger->child));
    stdout_.target = std::move(logger->out);
    stderr_.target = std::move(logger->err);
  } else {
    if (out.kind != Kind::kNone) {
      COFFER_CO_TRY(stdout_.target, open_output(out));
    }
    if (err.kind != Kind::kNone) {
      COFFER_CO_TRY(stderr_.target, open_output(err));
    }
  }
  if (paths_.in.empty()) co_return Status{};
  COFFER_CO_TRY(const StdioAddress in, parse_stdio_address(paths_.in));
  if (in.kind != Kind::kFifo) {
    co_return fail(Code::kInvalidArgument,
                   fmt::format("open stdin '{}': only a fifo can be stdin", paths_.in));
  }
  COFFER_CO_TRY(StdinEnds ends, open_stdin(in.path));
  stdin_ = std::move(ends.reader);
  stdin_keeper_ = std::move(ends.keeper);
  co_return Status{};
}

void ProcessStdio::start() {
  started_ = true;
  start_output(stdout_);
  if (paths_.terminal) {
    stderr_.done.set();
  } else {
    start_output(stderr_);
  }
  if (!stdin_.valid()) return;
  writers_.spawn(write_stdin());
  if (stdin_ended_) {
    writers_.spawn(finish_stdin());
  } else {
    stdin_reader_.spawn(read_stdin());
  }
}

// Also when nobody wants the bytes: a process must not block on a full pipe in the guest.
void ProcessStdio::start_output(Output& output) {
  readers_.spawn(read_output(output));
  writers_.spawn(write_output(output));
}

Task<void> ProcessStdio::read_output(Output& output) {
  for (;;) {
    grpc::ReadStreamRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    request.set_len(kChunk);
    Result<grpc::ReadStreamResponse> response = co_await agent_->call<grpc::ReadStreamResponse>(
        output.method, std::move(request), AgentClient::kNoTimeout);
    // The agent tells the end of a stream as an empty answer; Kata's also as an error.
    if (!response || response->data().empty()) break;
    std::string chunk = std::move(*response->mutable_data());
    const bool taken = co_await output.queue.push(std::move(chunk));
    if (!taken) break;
  }
  output.queue.close();
}

Task<void> ProcessStdio::write_output(Output& output) {
  const SetAtEnd at_end(output.done);
  bool broken = !output.target.fd.valid();
  for (;;) {
    std::optional<std::string> chunk = co_await output.queue.pop();
    if (!chunk) break;
    if (broken) continue;
    const Status status = co_await write_chunk(output.target, *chunk, written_);
    if (!status) {
      broken = true;
      log_.warn("output is discarded from here on",
                {{"stream", output.method}, {"error", status.error()}});
    }
  }
  output.target.fd.reset();
}

// True when a chunk was read and queued; there must be room in the queue.
bool ProcessStdio::read_stdin_chunk() {
  constexpr std::size_t kStdinChunk = std::size_t{64} << 10U;  // what a fifo holds
  std::string chunk(kStdinChunk, '\0');
  ssize_t count = -1;
  do {
    count = ::read(stdin_.get(), chunk.data(), chunk.size());
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  chunk.resize(static_cast<std::size_t>(count));
  return stdin_queue_.try_push(chunk);
}

// May be cancelled at any suspension, and then no byte is lost: a chunk is only read when there is
// room for it.
Task<void> ProcessStdio::read_stdin() {
  for (;;) {
    co_await stdin_queue_.wait_room();
    const Result<bool> readable = co_await wait_readable(stdin_.get());
    if (!readable || stdin_ended_ || stdin_queue_.closed()) co_return;
    // Our own writer keeps the fifo from ending: nothing read means somebody else was faster.
    [[maybe_unused]] const bool got = read_stdin_chunk();
  }
}

// After CloseIO: takes what is in the fifo, then ends the stream.
Task<void> ProcessStdio::finish_stdin() {
  co_await stdin_reader_.join();
  do {
    co_await stdin_queue_.wait_room();
  } while (!stdin_queue_.closed() && read_stdin_chunk());
  stdin_queue_.close();
  stdin_.reset();
}

Task<void> ProcessStdio::write_stdin() {
  for (;;) {
    std::optional<std::string> chunk = co_await stdin_queue_.pop();
    if (!chunk) break;
    grpc::WriteStreamRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    request.set_data(*std::move(chunk));
    Result<grpc::WriteStreamResponse> response = co_await agent_->call<grpc::WriteStreamResponse>(
        "WriteStdin", std::move(request), AgentClient::kNoTimeout);
    if (!response) {
      // The process has ended or closed its end: whoever still writes gets a broken pipe.
      stdin_queue_.close();
      co_await stdin_reader_.close();
      stdin_.reset();
      stdin_keeper_.reset();
      co_return;
    }
  }
  grpc::CloseStdinRequest request;
  request.set_container_id(name_.container_id);
  request.set_exec_id(name_.exec_id);
  [[maybe_unused]] const Status closed = co_await agent_->command("CloseStdin", std::move(request));
}

void ProcessStdio::close_stdin() {
  if (stdin_ended_ || !stdin_.valid()) return;
  stdin_ended_ = true;
  stdin_keeper_.reset();
  if (!started_) return;
  stdin_reader_.cancel();
  writers_.spawn(finish_stdin());
}

Task<void> ProcessStdio::drained() {
  co_await stdout_.done.wait();
  co_await stderr_.done.wait();
}

void ProcessStdio::give_up() {
  stdout_.queue.close();
  stderr_.queue.close();
  stdout_.done.set();
  stderr_.done.set();
  writers_.cancel();
}

Task<void> ProcessStdio::close() {
  co_await stdin_reader_.close();
  co_await readers_.close();
  co_await writers_.close();
  stdin_.reset();
  stdin_keeper_.reset();
  stdout_.target.fd.reset();
  stderr_.target.fd.reset();
  if (logger_) {
    Child logger = *std::move(logger_);
    logger_.reset();
    co_await stop_logger(std::move(logger));
  }
}

}  // namespace coffer::shim
