#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>

#include <csignal>

#include "guest-agent/methods.h"
#include "guest-agent/network.h"
#include "guest-agent/sandbox.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

using Empty = google::protobuf::Empty;

Result<Empty> as_empty(Status status) {
  if (!status) return fail(std::move(status).error());
  return Empty();
}

// For methods whose caller must be told "your argument": UpdateContainer, StatsContainer, ...
Result<std::shared_ptr<Container>> container_argument(const Sandbox& sandbox,
                                                      const std::string& id) {
  auto found = sandbox.find(id);
  if (found) return found;
  return fail(Code::kInvalidArgument, fmt::format("\"invalid container id\": '{}'", id));
}

Task<Result<Empty>> signal_process(Sandbox& sandbox, grpc::SignalProcessRequest request) {
  const auto signal = static_cast<int>(request.signal());
  if (signal < 0 || signal > SIGRTMAX)
    co_return fail(Code::kInvalidArgument,
                   fmt::format("send signal {}: no such signal", request.signal()));
  const auto container = sandbox.find(request.container_id());
  if (!container)
    co_return fail(Code::kInvalidArgument,
                   fmt::format("InvalidContainerId: '{}'", request.container_id()));
  const bool init = request.exec_id().empty();
  if (init && signal == SIGKILL) {
    container->kill_all();
    co_return Empty();
  }
  COFFER_CO_TRY(const auto process, container->process(request.exec_id()));
  // A PID 1 that does nothing about SIGTERM would never hear of it.
  const bool deaf = init && signal == SIGTERM && !process->minds(SIGTERM);
  co_return as_empty(process->kill(deaf ? SIGKILL : signal));
}

Task<Result<grpc::WaitProcessResponse>> wait_process(Sandbox& sandbox,
                                                     grpc::WaitProcessRequest request) {
  const auto container = sandbox.find(request.container_id());
  if (!container)
    co_return fail(Code::kInvalidArgument,
                   fmt::format("InvalidContainerId: '{}'", request.container_id()));
  COFFER_CO_TRY(const auto process, container->process(request.exec_id()));
  grpc::WaitProcessResponse response;
  response.set_status(co_await process->wait());
  // The kernel counts an OOM kill before the process is gone: report it before the exit is told.
  sandbox.oom().look(request.container_id());
  co_return response;
}

Task<Result<Empty>> exec_process(Sandbox& sandbox, grpc::ExecProcessRequest request) {
  co_await ignore_cancellation();
  const auto container = sandbox.find(request.container_id());
  if (!container)
    co_return fail(Code::kInternal,
                   fmt::format("execute in '{}': invalid container id", request.container_id()));
  if (!request.has_process())
    co_return fail(Code::kInternal, "execute: the request has no process");
  const std::string exec_id = request.exec_id();
  auto status = co_await container->exec(exec_id, request.process());
  co_return as_empty(std::move(status));
}

Task<Result<grpc::StatsContainerResponse>> stats(Sandbox& sandbox,
                                                 grpc::StatsContainerRequest request) {
  COFFER_CO_TRY(const auto container, container_argument(sandbox, request.container_id()));
  grpc::StatsContainerResponse response;
  COFFER_CO_TRY(*response.mutable_cgroup_stats(), container->cgroup().stats());
  if (auto links = network_stats()) {
    for (auto& one : *links) *response.add_network_stats() = std::move(one);
  }
  co_return response;
}

Task<Result<Empty>> remove_container(Sandbox& sandbox, grpc::RemoveContainerRequest request) {
  co_await ignore_cancellation();
  Deadline deadline;
  if (request.timeout() > 0) deadline = deadline_in(std::chrono::seconds(request.timeout()));
  auto status = co_await sandbox.remove_container(request.container_id(), deadline);
  // Kata's agent knows one code for this.
  if (!status && status.error().code() == Code::kDeadlineExceeded)
    co_return fail(Code::kInternal, status.error().to_string());
  co_return as_empty(std::move(status));
}

Task<Result<Empty>> update_container(Sandbox& sandbox, grpc::UpdateContainerRequest request) {
  co_await ignore_cancellation();
  COFFER_CO_TRY(const auto container, container_argument(sandbox, request.container_id()));
  if (!request.has_resources()) co_return Empty();
  auto status = co_await container->update(request.resources());
  co_return as_empty(std::move(status));
}

Task<Result<Empty>> update_ephemeral(Sandbox& sandbox, grpc::UpdateEphemeralMountsRequest request) {
  for (const auto& storage : request.storages())
    COFFER_CO_TRY_VOID(sandbox.storages().update_ephemeral(storage));
  co_return Empty();
}

}  // namespace

void add_container_methods(Registrar& registrar, Sandbox& sandbox) {
  registrar.add<grpc::CreateSandboxRequest, Empty>(
      "CreateSandbox",
      [&sandbox](Authorized<grpc::CreateSandboxRequest> request) -> Task<Result<Empty>> {
        co_await ignore_cancellation();
        auto status = co_await sandbox.create(std::move(request).take());
        co_return as_empty(std::move(status));
      });
  registrar.add<grpc::DestroySandboxRequest, Empty>(
      "DestroySandbox",
      [&sandbox](Authorized<grpc::DestroySandboxRequest> /*request*/) -> Task<Result<Empty>> {
        co_await ignore_cancellation();
        auto status = co_await sandbox.destroy();
        co_return as_empty(std::move(status));
      });
  registrar.add<grpc::CreateContainerRequest, Empty>(
      "CreateContainer",
      [&sandbox](Authorized<grpc::CreateContainerRequest> request) -> Task<Result<Empty>> {
        co_await ignore_cancellation();
        auto status = co_await sandbox.create_container(std::move(request).take());
        co_return as_empty(std::move(status));
      },
      [&sandbox](const grpc::CreateContainerRequest& request) {
        return sandbox.can_create(request.container_id());
      });
  registrar.add<grpc::StartContainerRequest, Empty>(
      "StartContainer",
      [&sandbox](Authorized<grpc::StartContainerRequest> request) -> Task<Result<Empty>> {
        co_await ignore_cancellation();
        auto status = co_await sandbox.start_container(request->container_id());
        co_return as_empty(std::move(status));
      });
  registrar.add<grpc::RemoveContainerRequest, Empty>(
      "RemoveContainer",
      [&sandbox](Authorized<grpc::RemoveContainerRequest> request) -> Task<Result<Empty>> {
        return remove_container(sandbox, std::move(request).take());
      },
      [&sandbox](const grpc::RemoveContainerRequest& request) {
        return sandbox.can_remove(request.container_id());
      });
  registrar.add<grpc::ExecProcessRequest, Empty>(
      "ExecProcess",
      [&sandbox](Authorized<grpc::ExecProcessRequest> request) -> Task<Result<Empty>> {
        return exec_process(sandbox, std::move(request).take());
      });
  registrar.add<grpc::SignalProcessRequest, Empty>(
      "SignalProcess",
      [&sandbox](Authorized<grpc::SignalProcessRequest> request) -> Task<Result<Empty>> {
        return signal_process(sandbox, std::move(request).take());
      });
  registrar.add<grpc::WaitProcessRequest, grpc::WaitProcessResponse>(
      "WaitProcess",
      [&sandbox](
          Authorized<grpc::WaitProcessRequest> request) -> Task<Result<grpc::WaitProcessResponse>> {
        return wait_process(sandbox, std::move(request).take());
      });
  registrar.add<grpc::UpdateContainerRequest, Empty>(
      "UpdateContainer",
      [&sandbox](Authorized<grpc::UpdateContainerRequest> request) -> Task<Result<Empty>> {
        return update_container(sandbox, std::move(request).take());
      });
  registrar.add<grpc::UpdateEphemeralMountsRequest, Empty>(
      "UpdateEphemeralMounts",
      [&sandbox](Authorized<grpc::UpdateEphemeralMountsRequest> request) -> Task<Result<Empty>> {
        return update_ephemeral(sandbox, std::move(request).take());
      });
  registrar.add<grpc::StatsContainerRequest, grpc::StatsContainerResponse>(
      "StatsContainer", [&sandbox](Authorized<grpc::StatsContainerRequest> request) {
        return stats(sandbox, std::move(request).take());
      });
  registrar.add<grpc::PauseContainerRequest, Empty>(
      "PauseContainer",
      [&sandbox](Authorized<grpc::PauseContainerRequest> request) -> Task<Result<Empty>> {
        COFFER_CO_TRY(const auto container, container_argument(sandbox, request->container_id()));
        co_return as_empty(container->pause());
      });
  registrar.add<grpc::ResumeContainerRequest, Empty>(
      "ResumeContainer",
      [&sandbox](Authorized<grpc::ResumeContainerRequest> request) -> Task<Result<Empty>> {
        COFFER_CO_TRY(const auto container, container_argument(sandbox, request->container_id()));
        co_return as_empty(container->resume());
      });
  registrar.add<grpc::GetOOMEventRequest, grpc::OOMEvent>(
      "GetOOMEvent",
      [&sandbox](Authorized<grpc::GetOOMEventRequest> /*request*/) -> Task<Result<grpc::OOMEvent>> {
        auto id = co_await sandbox.oom().next();
        if (!id) co_return fail(std::move(id).error());
        grpc::OOMEvent event;
        event.set_container_id(*std::move(id));
        co_return event;
      });
}

}  // namespace coffer::agent
