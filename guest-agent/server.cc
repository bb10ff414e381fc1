#include "guest-agent/server.h"

#include <sys/prctl.h>

#include "guest-agent/api_gate.h"
#include "guest-agent/attestation.h"
#include "guest-agent/methods.h"
#include "guest-agent/registrar.h"
#include "rpc/protos/oci.pb.h"
#include "rpc/ttrpc/server.h"

namespace coffer::agent {
namespace {

// Large enough for one CopyFile chunk of each kind of caller, small enough for a small guest.
rpc::Limits limits() {
  rpc::Limits limits;
  limits.max_call_bytes = std::size_t{16} << 20U;
  limits.max_queued_bytes = std::size_t{4} << 20U;
  limits.max_connections = 32;
  return limits;
}

ApiContainers api_containers(const Sandbox& sandbox) {
  ApiContainers out;
  for (const auto& [id, container] : sandbox.containers()) {
    const auto& annotations = container->spec().annotations();
    out.emplace(id, ApiContainer{.cgroup = container->cgroup().directory(),
                                 .annotations = {annotations.begin(), annotations.end()}});
  }
  return out;
}

Result<Address> address_of(const AgentConfig& config) {
  if (!config.server_addr.empty()) return parse_address(config.server_addr);
  return default_address();
}

}  // namespace

rpc::Router make_router(const Gate& gate, Sandbox& sandbox) {
  rpc::Router router;
  Registrar registrar(router, gate);
  add_container_methods(registrar, sandbox);
  add_stream_methods(registrar, sandbox);
  add_network_methods(registrar, sandbox);
  add_file_methods(registrar, sandbox);
  add_guest_methods(registrar, gate);
  add_health(router);
  return router;
}

Task<Status> run_agent(AgentParts parts, PolicyGate& policy, Modules& modules, ImageStore* images) {
  const auto executor = co_await asio::this_coro::executor;
  // Container processes lose their parent when crun ends: they become ours.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) co_return fail_errno(errno, "become sub-reaper");
  COFFER_CO_TRY(const auto address, address_of(parts.config));
  const Gate gate(policy, parts.log);
  Sandbox sandbox(executor, std::move(parts.sandbox), modules, images, parts.log);
  rpc::Server server(executor, make_router(gate, sandbox), limits(), parts.log);
  const ApiGate api_gate(policy, [&sandbox] { return api_containers(sandbox); });
  rpc::Router api_router;
  api_gate.add_to(api_router);
  rpc::Server api_server(executor, std::move(api_router), limits(), parts.log);
  Scope scope(executor);
  if (parts.attestation != nullptr)
    parts.attestation->serve_with([&api_server](Fd fd) { api_server.serve(std::move(fd)); },
                                  &scope);
  Status served;
  scope.spawn([&]() -> Task<void> {
    served = co_await serve_on(server, address, sandbox.destroyed(), parts.log);
    // A listener is served from then on; a failure ends the agent.
    if (!served) sandbox.destroyed().set();
  });
  parts.log.info("agent is serving", {{"policy", policy.name()}});
  co_await sandbox.destroyed().wait();
  // The reply to DestroySandbox is still on its way out.
  const auto drain = deadline_in(std::chrono::seconds(1));
  co_await server.shutdown(drain);
  if (parts.attestation != nullptr) parts.attestation->serve_with({}, nullptr);
  co_await api_server.shutdown();
  co_await scope.close();
  co_await sandbox.scope().close();
  co_return served;
}

}  // namespace coffer::agent
