#include "shim/task/container.h"

#include <fmt/core.h>
#include <signal.h>

#include <utility>

#include "base/fd.h"
#include "rpc/protos/events.pb.h"
#include "shim/sandbox/guest_spec.h"

namespace coffer::shim {
namespace {

constexpr std::chrono::seconds kTerminationTimeout{5};
constexpr std::chrono::seconds kEndTimeout{2};
constexpr std::uint32_t kSignalBase = 128;

ProcessName process_name(const ContainerSetup& setup, std::string exec_id) {
  return {.containerd_namespace = setup.containerd_namespace,
          .container_id = setup.id,
          .exec_id = std::move(exec_id)};
}

}  // namespace

Container::Container(asio::any_io_executor executor, ContainerSetup setup, Sandbox& sandbox,
                     EventPublisher& events, std::function<void()> on_init_exit, Logger log)
    : setup_(std::move(setup)),
      sandbox_(sandbox),
      events_(events),
      on_init_exit_(std::move(on_init_exit)),
      log_(log.with("container", setup_.id)),
      executor_(executor),
      mutex_(executor),
      scope_(executor) {
  init_ = std::make_shared<Process>(executor_, sandbox_.agent(), process_name(setup_, ""),
                                    setup_.stdio, log_);
}

Container::~Container() = default;

Result<std::shared_ptr<Process>> Container::find(const std::string& exec_id) const {
  if (exec_id.empty()) return init_;
  const auto found = execs_.find(exec_id);
  if (found != execs_.end()) return found->second.process;
  return fail(Code::kNotFound,
              fmt::format("find exec '{}' of container '{}': no such process", exec_id, setup_.id));
}

Task<Status> Container::open() {
  Status opened = co_await init_->stdio().open();
  co_return opened;
}

Task<Status> Container::start(const std::string& exec_id) {
  COFFER_CO_TRY(const std::shared_ptr<Process> process, find(exec_id));
  if (process->state() != ProcessState::kCreated) {
    co_return fail(Code::kFailedPrecondition, fmt::format("start '{}': it has {} already",
                                                          exec_id.empty() ? setup_.id : exec_id,
                                                          process->exit() ? "ended" : "started"));
  }
  if (exec_id.empty()) {
    Status started = co_await process->start(nullptr);
    if (!started) co_return started;
    containerd::events::TaskStart event;
    event.set_container_id(setup_.id);
    event.set_pid(pid());
    events_.publish("/tasks/start", event);
  } else {
    if (init_->state() != ProcessState::kRunning) {
      co_return fail(Code::kFailedPrecondition,
                     fmt::format("execute in container '{}': it is not running", setup_.id));
    }
    Status opened = co_await process->stdio().open();
    if (!opened) co_return opened;
    const grpc::Process spec = execs_.find(exec_id)->second.spec;
    Status started = co_await process->start(&spec);
    if (!started) {
      co_await process->close();
      process->finish(kExitUnknown);
      co_return started;
    }
    containerd::events::TaskExecStarted event;
    event.set_container_id(setup_.id);
    event.set_exec_id(exec_id);
    event.set_pid(pid());
    events_.publish("/tasks/exec-started", event);
  }
  scope_.spawn(follow(process));
  co_return Status{};
}

Task<void> Container::follow(std::shared_ptr<Process> process) {
  const std::uint32_t status = co_await process->wait_end();
  if (process->is_init()) co_await copy_termination_message();
  process->finish(status);
  publish_exit(*process);
  log_.info("process ended", {{"exec", process->exec_id()}, {"status", status}});
  if (process->is_init()) on_init_exit_();
}

void Container::publish_exit(const Process& process) {
  containerd::events::TaskExit event;
  event.set_container_id(setup_.id);
  event.set_id(process.is_init() ? setup_.id : process.exec_id());
  event.set_pid(pid());
  event.set_exit_status(process.exit()->status);
  event.mutable_exited_at()->set_seconds(process.exit()->at.seconds);
  event.mutable_exited_at()->set_nanos(process.exit()->at.nanos);
  events_.publish("/tasks/exit", event);
}

// Before the exit is told: kubelet reads the file as soon as it hears of it.
Task<void> Container::copy_termination_message() {
  const std::shared_ptr<AgentClient> agent = sandbox_.agent();
  if (setup_.termination_file.empty() || agent->closed()) co_return;
  grpc::GetDiagnosticDataRequest request;
  request.set_log_type("termination_log");
  request.set_container_id(setup_.id);
  Result<grpc::GetDiagnosticDataResponse> response =
      co_await agent->call<grpc::GetDiagnosticDataResponse>("GetDiagnosticData", std::move(request),
                                                            kTerminationTimeout);
  Status written = response ? write_file(setup_.termination_file, response->data())
                            : Status(std::unexpected(response.error()));
  if (!written) log_.warn("termination message is lost", {{"error", written.error()}});
}

Task<Status> Container::add_exec(std::string exec_id, grpc::Process spec, StdioPaths paths) {
  COFFER_CO_TRY_VOID(check_identifier("exec id", exec_id));
  if (execs_.contains(exec_id)) {
    co_return fail(
        Code::kAlreadyExists,
        fmt::format("add exec '{}' to container '{}': there is one", exec_id, setup_.id));
  }
  if (init_->state() == ProcessState::kStopped) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("add exec '{}': container '{}' has ended", exec_id, setup_.id));
  }
  spec.set_terminal(paths.terminal);
  rewrite_process(spec, sandbox_.config().runtime.guest_selinux_label);
  auto process = std::make_shared<Process>(executor_, sandbox_.agent(),
                                           process_name(setup_, exec_id), std::move(paths), log_);
  execs_.emplace(exec_id, Exec{.process = std::move(process), .spec = std::move(spec)});
  containerd::events::TaskExecAdded event;
  event.set_container_id(setup_.id);
  event.set_exec_id(exec_id);
  events_.publish("/tasks/exec-added", event);
  co_return Status{};
}

Task<Result<ProcessExit>> Container::delete_exec(std::string exec_id) {
  COFFER_CO_TRY(const std::shared_ptr<Process> process, find(exec_id));
  if (process->state() == ProcessState::kRunning) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("delete exec '{}': it is running", exec_id));
  }
  const ProcessExit exit = process->exit().value_or(ProcessExit{.status = 0, .at = {}});
  co_await process->close();
  execs_.erase(exec_id);
  co_return exit;
}

Task<Status> Container::kill(std::string exec_id, std::uint32_t signal, bool all) {
  COFFER_CO_TRY(const std::shared_ptr<Process> process, find(exec_id));
  if (process->state() == ProcessState::kCreated && !exec_id.empty()) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("signal exec '{}': it has not started", exec_id));
  }
  // A frozen process cannot die.
  if (signal == SIGKILL && paused_) {
    const Status resumed = co_await set_paused(false);
    if (!resumed) log_.warn("a paused container is killed", {{"error", resumed.error()}});
  }
  const bool never_started = process->state() == ProcessState::kCreated;
  Status sent = co_await process->signal(signal);
  if (sent && all) {
    for (const auto& [id, exec] : std::map(execs_)) {
      if (exec.process->state() != ProcessState::kRunning) continue;
      [[maybe_unused]] const Status ignored = co_await exec.process->signal(signal);
    }
  }
  // Init waits in the guest to be started; once killed there is nobody to follow it.
  if (sent && never_started && process->state() == ProcessState::kCreated &&
      (signal == SIGKILL || signal == SIGTERM)) {
    end_unstarted(kSignalBase + signal);
  }
  co_return sent;
}

void Container::end_unstarted(std::uint32_t status) {
  init_->finish(status);
  publish_exit(*init_);
  on_init_exit_();
}

Task<Status> Container::set_paused(bool paused) {
  Status done;
  if (paused) {
    grpc::PauseContainerRequest request;
    request.set_container_id(setup_.id);
    done = co_await sandbox_.agent()->command("PauseContainer", std::move(request));
  } else {
    grpc::ResumeContainerRequest request;
    request.set_container_id(setup_.id);
    done = co_await sandbox_.agent()->command("ResumeContainer", std::move(request));
  }
  if (done) paused_ = paused;
  co_return done;
}

Task<Status> Container::pause() {
  if (init_->state() != ProcessState::kRunning || paused_) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("pause container '{}': it is {}", setup_.id,
                               paused_ ? "paused already" : "not running"));
  }
  Status done = co_await set_paused(true);
  if (!done) co_return done;
  containerd::events::TaskPaused event;
  event.set_container_id(setup_.id);
  events_.publish("/tasks/paused", event);
  co_return done;
}

Task<Status> Container::resume() {
  if (!paused_) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("resume container '{}': it is not paused", setup_.id));
  }
  Status done = co_await set_paused(false);
  if (!done) co_return done;
  containerd::events::TaskResumed event;
  event.set_container_id(setup_.id);
  events_.publish("/tasks/resumed", event);
  co_return done;
}

void Container::note_oom() {
  log_.warn("a process was killed for want of memory");
  containerd::events::TaskOOM event;
  event.set_container_id(setup_.id);
  events_.publish("/tasks/oom", event);
}

Task<void> Container::close() {
  // What still runs here has lost its guest, and is about to say so.
  [[maybe_unused]] const bool ended =
      co_await with_deadline(scope_.join(), deadline_in(kEndTimeout));
  co_await scope_.close();
  for (const auto& [id, exec] : std::map(execs_)) co_await exec.process->close();
  co_await init_->close();
}

}  // namespace coffer::shim
