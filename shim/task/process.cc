#include "shim/task/process.h"

#include <signal.h>
#include <sys/time.h>

#include <utility>

namespace coffer::shim {
namespace {

// How long a killed process' output may stand still before nobody is expected to read it.
constexpr std::chrono::seconds kStalledReader{10};

bool is_gone(const Error& error) {
  return error.code() == Code::kNotFound || error.code() == Code::kUnavailable;
}

}  // namespace

WallTime wall_time_now() {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  return {.seconds = now.tv_sec, .nanos = static_cast<std::int32_t>(now.tv_usec * 1000)};
}

Process::Process(asio::any_io_executor executor, std::shared_ptr<AgentClient> agent,
                 ProcessName name, StdioPaths paths, Logger log)
    : agent_(agent),
      name_(name),
      log_(log),
      stdio_(executor, std::move(agent), std::move(name), paths, log),
      terminal_(paths.terminal),
      exited_(executor),
      scope_(executor) {}

Task<Status> Process::start(const grpc::Process* exec_spec) {
  Status started;
  if (exec_spec == nullptr) {
    grpc::StartContainerRequest request;
    request.set_container_id(name_.container_id);
    started = co_await agent_->command("StartContainer", std::move(request));
  } else {
    grpc::ExecProcessRequest request;
    request.set_container_id(name_.container_id);
    request.set_exec_id(name_.exec_id);
    *request.mutable_process() = *exec_spec;
    started = co_await agent_->command("ExecProcess", std::move(request));
  }
  if (!started) co_return started;
  state_ = ProcessState::kRunning;
  stdio_.start();
  if (size_) {
    const Status sized = co_await send_size();
    if (!sized) log_.warn("window size is not set", {{"error", sized.error()}});
  }
  co_return Status{};
}

Task<std::uint32_t> Process::wait_end() {
  co_await stdio_.drained();
  grpc::WaitProcessRequest request;
  request.set_container_id(name_.container_id);
  request.set_exec_id(name_.exec_id);
  Result<grpc::WaitProcessResponse> response = co_await agent_->call<grpc::WaitProcessResponse>(
      "WaitProcess", std::move(request), AgentClient::kNoTimeout);
  if (response) co_return static_cast<std::uint32_t>(response->status()) & 0xffU;
  log_.error("exit status is unknown", {{"exec", name_.exec_id}, {"error", response.error()}});
  // A guest that is gone has killed what ran in it.
  co_return agent_->closed() ? kExitKilled : kExitUnknown;
}

void Process::finish(std::uint32_t status) {
  state_ = ProcessState::kStopped;
  exited_.set({.status = status, .at = wall_time_now()});
}

Task<Status> Process::signal(std::uint32_t number) {
  const bool ends = number == SIGKILL || number == SIGTERM;
  if (state_ == ProcessState::kStopped) {
    if (ends) co_return Status{};
    co_return fail(Code::kNotFound, "signal the process: it has ended already");
  }
  grpc::SignalProcessRequest request;
  request.set_container_id(name_.container_id);
  request.set_exec_id(name_.exec_id);
  request.set_signal(number);
  Status sent = co_await agent_->command("SignalProcess", std::move(request));
  if (!sent && ends && is_gone(sent.error())) sent = {};
  if (sent && number == SIGKILL && !std::exchange(killed_, true)) {
    scope_.spawn(watch_stalled_readers());
  }
  co_return sent;
}

// Somebody wanted it dead: then a reader that reads nothing does not keep it.
Task<void> Process::watch_stalled_readers() {
  while (!exited_.ready()) {
    const std::uint64_t before = stdio_.written();
    co_await exited_.wait(deadline_in(kStalledReader));
    if (!exited_.ready() && stdio_.written() == before) stdio_.give_up();
  }
}

Task<Status> Process::resize(std::uint32_t width, std::uint32_t height) {
  if (!terminal_) co_return fail(Code::kFailedPrecondition, "resize: the process has no terminal");
  size_ = Size{.width = width, .height = height};
  if (state_ == ProcessState::kStopped) {
    co_return fail(Code::kFailedPrecondition, "resize: the process has ended");
  }
  if (state_ == ProcessState::kCreated) co_return Status{};
  Status sent = co_await send_size();
  co_return sent;
}

Task<Status> Process::send_size() {
  grpc::TtyWinResizeRequest request;
  request.set_container_id(name_.container_id);
  request.set_exec_id(name_.exec_id);
  request.set_row(size_->height);
  request.set_column(size_->width);
  Status sent = co_await agent_->command("TtyWinResize", std::move(request));
  co_return sent;
}

Task<void> Process::close() {
  co_await scope_.close();
  co_await stdio_.close();
}

}  // namespace coffer::shim
