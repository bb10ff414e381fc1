#include "shim/task/service.h"

#include <fmt/core.h>
#include <unistd.h>

#include <utility>

#include "rpc/protos/runtime_options.pb.h"
#include "rpc/ttrpc/typed.h"
#include "shim/sandbox/oci_json.h"
#include "shim/task/stats.h"

namespace coffer::shim {
namespace {

namespace v2 = containerd::task::v2;
using containerd::v1::types::Status;

void set_time(google::protobuf::Timestamp& to, const WallTime& from) {
  to.set_seconds(from.seconds);
  to.set_nanos(from.nanos);
}

::containerd::v1::types::Status status_of(const Container& container, const Process& process) {
  switch (process.state()) {
    case ProcessState::kCreated:
      return ::containerd::v1::types::CREATED;
    case ProcessState::kStopped:
      return ::containerd::v1::types::STOPPED;
    case ProcessState::kRunning:
      break;
  }
  return container.paused() ? ::containerd::v1::types::PAUSED : ::containerd::v1::types::RUNNING;
}

// Registers one method under both names. A handler that changes something is not cancelled when its
// caller goes away: containerd may be restarting, and half a Create helps nobody.
template <typename Req, typename Resp, typename Method>
void add(rpc::Router& router, TaskService* service, const char* name, Method method,
         bool cancellable = false) {
  const rpc::TypedHandler<Req, Resp> handler =
      [service, method, cancellable](rpc::CallContext, Req request) -> Task<Result<Resp>> {
    if (!cancellable) co_await ignore_cancellation();
    Result<Resp> response = co_await (service->*method)(std::move(request));
    co_return response;
  };
  for (const char* package : {"containerd.task.v2.Task", "containerd.task.v3.Task"}) {
    rpc::add<Req, Resp>(router, package, name, handler);
  }
}

Result<google::protobuf::Empty> as_empty(coffer::Status status) {
  if (!status) return std::unexpected(std::move(status).error());
  return google::protobuf::Empty();
}

}  // namespace

Result<ConfigSources> config_sources(const google::protobuf::Any& options,
                                     const std::string& env_config) {
  ConfigSources sources;
  sources.env_path = env_config;
  std::string_view type = options.type_url();
  type.remove_prefix(type.rfind('/') == std::string_view::npos ? 0 : type.rfind('/') + 1);
  if (type != "runtimeoptions.v1.Options" && type != "cri.runtimeoptions.v1.Options") {
    return sources;
  }
  COFFER_TRY(runtimeoptions::v1::Options parsed,
             rpc::parse_message<runtimeoptions::v1::Options>(options.value(), "runtime options"));
  sources.option_path = std::move(*parsed.mutable_config_path());
  sources.option_body = std::move(*parsed.mutable_config_body());
  return sources;
}

TaskService::TaskService(Pod& pod, Event& shut_down, std::string env_config,
                         bool host_has_cgroup_v2, Logger log)
    : pod_(pod),
      shut_down_(shut_down),
      env_config_(std::move(env_config)),
      cgroup_v2_(host_has_cgroup_v2),
      log_(std::move(log)) {}

void TaskService::add_to(rpc::Router& router) {
  using S = TaskService;
  add<v2::StateRequest, v2::StateResponse>(router, this, "State", &S::state);
  add<v2::CreateTaskRequest, v2::CreateTaskResponse>(router, this, "Create", &S::create);
  add<v2::StartRequest, v2::StartResponse>(router, this, "Start", &S::start);
  add<v2::DeleteRequest, v2::DeleteResponse>(router, this, "Delete", &S::remove);
  add<v2::PidsRequest, v2::PidsResponse>(router, this, "Pids", &S::pids);
  add<v2::PauseRequest, Empty>(router, this, "Pause", &S::pause);
  add<v2::ResumeRequest, Empty>(router, this, "Resume", &S::resume);
  add<v2::CheckpointTaskRequest, Empty>(router, this, "Checkpoint", &S::checkpoint);
  add<v2::KillRequest, Empty>(router, this, "Kill", &S::kill);
  add<v2::ExecProcessRequest, Empty>(router, this, "Exec", &S::exec);
  add<v2::ResizePtyRequest, Empty>(router, this, "ResizePty", &S::resize);
  add<v2::CloseIORequest, Empty>(router, this, "CloseIO", &S::close_io);
  add<v2::UpdateTaskRequest, Empty>(router, this, "Update", &S::update);
  add<v2::WaitRequest, v2::WaitResponse>(router, this, "Wait", &S::wait, true);
  add<v2::StatsRequest, v2::StatsResponse>(router, this, "Stats", &S::stats);
  add<v2::ConnectRequest, v2::ConnectResponse>(router, this, "Connect", &S::connect);
  add<v2::ShutdownRequest, Empty>(router, this, "Shutdown", &S::shutdown);
}

Task<Result<v2::StateResponse>> TaskService::state(v2::StateRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  COFFER_CO_TRY(const auto process, container->find(request.exec_id()));
  v2::StateResponse response;
  response.set_id(request.id());
  response.set_exec_id(request.exec_id());
  response.set_bundle(container->setup().bundle.native());
  response.set_pid(container->pid());
  response.set_status(status_of(*container, *process));
  const StdioPaths& stdio = process->stdio().paths();
  response.set_stdin(stdio.in);
  response.set_stdout(stdio.out);
  response.set_stderr(stdio.err);
  response.set_terminal(stdio.terminal);
  if (process->exit()) {
    response.set_exit_status(process->exit()->status);
    set_time(*response.mutable_exited_at(), process->exit()->at);
  }
  co_return response;
}

Task<Result<v2::CreateTaskResponse>> TaskService::create(v2::CreateTaskRequest request) {
  if (!request.checkpoint().empty()) {
    co_return fail(Code::kUnimplemented, "create from a checkpoint: VMs have none");
  }
  CreateTask wanted;
  wanted.id = request.id();
  wanted.bundle = request.bundle();
  for (const containerd::types::Mount& mount : request.rootfs()) {
    wanted.rootfs.push_back({.type = mount.type(),
                             .source = mount.source(),
                             .options = {mount.options().begin(), mount.options().end()}});
  }
  wanted.stdio = {.in = request.stdin(),
                  .out = request.stdout(),
                  .err = request.stderr(),
                  .terminal = request.terminal()};
  COFFER_CO_TRY(wanted.sources, config_sources(request.options(), env_config_));
  Result<std::uint32_t> pid = co_await pod_.create(std::move(wanted));
  if (!pid) co_return std::unexpected(std::move(pid).error());
  v2::CreateTaskResponse response;
  response.set_pid(*pid);
  co_return response;
}

Task<Result<v2::StartResponse>> TaskService::start(v2::StartRequest request) {
  Result<std::uint32_t> pid = co_await pod_.start(request.id(), request.exec_id());
  if (!pid) co_return std::unexpected(std::move(pid).error());
  v2::StartResponse response;
  response.set_pid(*pid);
  co_return response;
}

Task<Result<v2::DeleteResponse>> TaskService::remove(v2::DeleteRequest request) {
  Result<DeletedTask> deleted = co_await pod_.remove(request.id(), request.exec_id());
  if (!deleted) co_return std::unexpected(std::move(deleted).error());
  v2::DeleteResponse response;
  response.set_pid(deleted->pid);
  response.set_exit_status(deleted->exit.status);
  set_time(*response.mutable_exited_at(), deleted->exit.at);
  co_return response;
}

Task<Result<v2::PidsResponse>> TaskService::pids(v2::PidsRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  v2::PidsResponse response;
  // The guest's pids mean nothing here; the VM stands for all of them.
  response.add_processes()->set_pid(container->pid());
  co_return response;
}

Task<Result<TaskService::Empty>> TaskService::pause(v2::PauseRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  const AsyncMutex::Lock lock = co_await container->mutex().lock();
  coffer::Status done = co_await container->pause();
  co_return as_empty(std::move(done));
}

Task<Result<TaskService::Empty>> TaskService::resume(v2::ResumeRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  const AsyncMutex::Lock lock = co_await container->mutex().lock();
  coffer::Status done = co_await container->resume();
  co_return as_empty(std::move(done));
}

Task<Result<TaskService::Empty>> TaskService::checkpoint(v2::CheckpointTaskRequest request) {
  co_return fail(Code::kUnimplemented,
                 fmt::format("checkpoint container '{}': VMs are not checkpointed", request.id()));
}

Task<Result<TaskService::Empty>> TaskService::kill(v2::KillRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  coffer::Status sent =
      co_await container->kill(request.exec_id(), request.signal(), request.all());
  co_return as_empty(std::move(sent));
}

Task<Result<TaskService::Empty>> TaskService::exec(v2::ExecProcessRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  COFFER_CO_TRY(grpc::Process process, parse_oci_process(request.spec().value()));
  StdioPaths paths;
  paths.in = request.stdin();
  paths.out = request.stdout();
  paths.err = request.stderr();
  paths.terminal = request.terminal();
  const AsyncMutex::Lock lock = co_await container->mutex().lock();
  coffer::Status added =
      co_await container->add_exec(request.exec_id(), std::move(process), std::move(paths));
  co_return as_empty(std::move(added));
}

Task<Result<TaskService::Empty>> TaskService::resize(v2::ResizePtyRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  COFFER_CO_TRY(const auto process, container->find(request.exec_id()));
  coffer::Status done = co_await process->resize(request.width(), request.height());
  co_return as_empty(std::move(done));
}

Task<Result<TaskService::Empty>> TaskService::close_io(v2::CloseIORequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  COFFER_CO_TRY(const auto process, container->find(request.exec_id()));
  if (request.stdin()) process->stdio().close_stdin();
  co_return Empty();
}

Task<Result<TaskService::Empty>> TaskService::update(v2::UpdateTaskRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  grpc::UpdateContainerRequest update;
  update.set_container_id(request.id());
  COFFER_CO_TRY(*update.mutable_resources(), parse_oci_resources(request.resources().value()));
  update.mutable_resources()->clear_devices();
  if (update.resources().has_cpu()) {
    update.mutable_resources()->mutable_cpu()->clear_cpus();
    update.mutable_resources()->mutable_cpu()->clear_mems();
  }
  const AsyncMutex::Lock lock = co_await container->mutex().lock();
  coffer::Status done =
      co_await pod_.sandbox()->agent()->command("UpdateContainer", std::move(update));
  co_return as_empty(std::move(done));
}

Task<Result<v2::WaitResponse>> TaskService::wait(v2::WaitRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  COFFER_CO_TRY(const auto process, container->find(request.exec_id()));
  const std::optional<ProcessExit> exit = co_await process->exited().wait();
  v2::WaitResponse response;
  response.set_exit_status(exit->status);
  set_time(*response.mutable_exited_at(), exit->at);
  co_return response;
}

Task<Result<v2::StatsResponse>> TaskService::stats(v2::StatsRequest request) {
  COFFER_CO_TRY(const auto container, pod_.find(request.id()));
  grpc::StatsContainerRequest wanted;
  wanted.set_container_id(request.id());
  Result<grpc::StatsContainerResponse> stats =
      co_await pod_.sandbox()->agent()->call<grpc::StatsContainerResponse>("StatsContainer",
                                                                           std::move(wanted));
  if (!stats) co_return std::unexpected(std::move(stats).error());
  v2::StatsResponse response;
  *response.mutable_stats() = cgroup_v2_ ? metrics_v2(*stats) : metrics_v1(*stats);
  co_return response;
}

Task<Result<v2::ConnectResponse>> TaskService::connect(v2::ConnectRequest request) {
  v2::ConnectResponse response;
  response.set_shim_pid(static_cast<std::uint32_t>(::getpid()));
  if (const auto container = pod_.find(request.id())) response.set_task_pid((*container)->pid());
  response.set_version(COFFER_VERSION);
  co_return response;
}

Task<Result<TaskService::Empty>> TaskService::shutdown(v2::ShutdownRequest request) {
  if (pod_.has_containers() && !request.now()) co_return Empty();
  log_.info("shutting down", {{"asked_for", request.id()}});
  shut_down_.set();
  co_return Empty();
}

}  // namespace coffer::shim
