#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>
#include <unistd.h>

#include <memory>

#include "guest-agent/machine.h"
#include "guest-agent/methods.h"
#include "guest-agent/metrics.h"
#include "guest-agent/storage.h"
#include "rpc/protos/agent.pb.h"
#include "rpc/protos/health.pb.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::agent {
namespace {

using Empty = google::protobuf::Empty;

constexpr const char* kApiVersion = "0.0.1";

grpc::GuestDetailsResponse guest_details(const grpc::GuestDetailsRequest& request,
                                         const Gate& gate) {
  grpc::GuestDetailsResponse response;
  if (request.mem_block_size()) response.set_mem_block_size_bytes(memory_block_size());
  if (request.mem_hotplug_probe()) response.set_support_mem_hotplug_probe(can_probe_memory());
  auto& details = *response.mutable_agent_details();
  details.set_version(COFFER_VERSION);
  details.set_init_daemon(::getpid() == 1);
  for (auto& driver : Storages::drivers()) details.add_storage_handlers(std::move(driver));
  details.set_supports_seccomp(true);
  if (gate.policy().name() != "allow-all") details.add_extra_features("agent-policy");
  details.add_extra_features("seccomp");
  return response;
}

Result<Empty> as_empty(Status status) {
  if (!status) return fail(std::move(status).error());
  return Empty();
}

template <typename Request>
void add_disabled_mem_agent(Registrar& registrar, std::string method) {
  registrar.add<Request, Empty>(std::move(method),
                                [](Authorized<Request> /*request*/) -> Task<Result<Empty>> {
                                  co_return fail(Code::kInternal, "mem-agent is disabled");
                                });
}

void add_machine_methods(Registrar& registrar) {
  registrar.add<grpc::OnlineCPUMemRequest, Empty>(
      "OnlineCPUMem", [](Authorized<grpc::OnlineCPUMemRequest> request) -> Task<Result<Empty>> {
        auto status = co_await online_resources(request->nb_cpus(), !request->cpu_only());
        co_return as_empty(std::move(status));
      });
  registrar.add<grpc::MemHotplugByProbeRequest, Empty>(
      "MemHotplugByProbe",
      [](Authorized<grpc::MemHotplugByProbeRequest> request) -> Task<Result<Empty>> {
        const auto& wire = request->memhotplugprobeaddr();
        co_return as_empty(probe_memory({wire.data(), static_cast<std::size_t>(wire.size())}));
      });
  registrar.add<grpc::ReseedRandomDevRequest, Empty>(
      "ReseedRandomDev",
      [](Authorized<grpc::ReseedRandomDevRequest> request) -> Task<Result<Empty>> {
        co_return as_empty(reseed_random(request->data()));
      });
  registrar.add<grpc::SetGuestDateTimeRequest, Empty>(
      "SetGuestDateTime",
      [](Authorized<grpc::SetGuestDateTimeRequest> request) -> Task<Result<Empty>> {
        co_return as_empty(set_clock(request->sec(), request->usec()));
      });
  add_disabled_mem_agent<grpc::MemAgentMemcgConfig>(registrar, "MemAgentMemcgSet");
  add_disabled_mem_agent<grpc::MemAgentCompactConfig>(registrar, "MemAgentCompactSet");
}

}  // namespace

void add_guest_methods(Registrar& registrar, const Gate& gate) {
  add_machine_methods(registrar);
  registrar.add<grpc::GuestDetailsRequest, grpc::GuestDetailsResponse>(
      "GetGuestDetails",
      [&gate](Authorized<grpc::GuestDetailsRequest> request)
          -> Task<Result<grpc::GuestDetailsResponse>> { co_return guest_details(*request, gate); });
  // Shared: std::function wants to be copyable; there is one counter.
  const auto scrapes = std::make_shared<std::uint64_t>(0);
  registrar.add<grpc::GetMetricsRequest, grpc::Metrics>(
      "GetMetrics",
      [scrapes](Authorized<grpc::GetMetricsRequest> /*request*/) -> Task<Result<grpc::Metrics>> {
        grpc::Metrics metrics;
        metrics.set_metrics(metrics_text(++*scrapes));
        co_return metrics;
      });
  registrar.add<grpc::SetPolicyRequest, Empty>(
      "SetPolicy", [&gate](Authorized<grpc::SetPolicyRequest> request) -> Task<Result<Empty>> {
        co_return as_empty(gate.policy().set_policy(request->policy()));
      });
}

void add_health(rpc::Router& router) {
  rpc::add<grpc::CheckRequest, grpc::HealthCheckResponse>(
      router, "grpc.Health", "Check",
      [](rpc::CallContext /*context*/,
         grpc::CheckRequest /*request*/) -> Task<Result<grpc::HealthCheckResponse>> {
        grpc::HealthCheckResponse response;
        response.set_status(grpc::HealthCheckResponse_ServingStatus_SERVING);
        co_return response;
      });
  rpc::add<grpc::CheckRequest, grpc::VersionCheckResponse>(
      router, "grpc.Health", "Version",
      [](rpc::CallContext /*context*/,
         grpc::CheckRequest /*request*/) -> Task<Result<grpc::VersionCheckResponse>> {
        grpc::VersionCheckResponse response;
        response.set_grpc_version(kApiVersion);
        response.set_agent_version(COFFER_VERSION);
        co_return response;
      });
}

}  // namespace coffer::agent
