#include "guest-agent/attester/guest_apis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "attestation/guest_api/ttrpc_services.h"
#include "rpc/protos/guest_api_gate.pb.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::attester {
namespace {

constexpr std::chrono::seconds kGatePatience{30};

Task<Status> ask_agent(std::shared_ptr<rpc::Client> agent, guest_api::Access access) {
  gate::AuthorizeRequest request;
  request.set_peer_port(access.caller.port);
  request.set_peer_pid(access.caller.pid);
  request.set_rule(access.rule);
  auto& input = *request.mutable_request();
  input.set_resource(access.resource);
  input.set_token_type(access.token_type);
  input.set_domain(access.event.domain);
  input.set_operation(access.event.operation);
  input.set_content(access.event.content);
  const rpc::CallOptions options(kGatePatience);
  const auto answer = co_await rpc::call<gate::AuthorizeResponse>(
      *agent, "coffer.gate.GuestApiGate", "Authorize", request, options);
  if (!answer) co_return fail(answer.error());
  co_return Status{};
}

}  // namespace

Result<GuestApiSettings> guest_api_settings(const ServeSettings& settings) {
  constexpr std::array<std::string_view, 4> kComponents{"none", "attestation-agent",
                                                        "confidential-data-hub", "api-server-rest"};
  const auto* const found = std::ranges::find(kComponents, settings.components);
  const auto level = found - kComponents.begin();
  if (found == kComponents.end())
    return fail(Code::kInvalidArgument,
                fmt::format("serve '{}': want none, attestation-agent, confidential-data-hub or "
                            "api-server-rest",
                            settings.components));
  const std::string& features = settings.rest_api;
  if (features != "all" && features != "attestation" && features != "resource")
    return fail(Code::kInvalidArgument,
                fmt::format("serve '{}': want all, attestation or resource", features));
  GuestApiSettings out;
  out.attestation_agent = level >= 1;
  out.data_hub = level >= 2;
  out.rest = level >= 3;
  out.features.resource = features != "attestation";
  out.features.attestation = features != "resource";
  out.port = static_cast<std::uint16_t>(settings.port);
  out.agent_socket = settings.sockets / "attestation-agent/attestation-agent.sock";
  out.hub_socket = settings.sockets / "cdh.sock";
  out.gate = Fd(settings.gate_fd);
  return out;
}

GuestApis::GuestApis(asio::any_io_executor executor, guest_api::Backend& backend,
                     GuestApiSettings settings)
    : executor_(std::move(executor)), backend_(backend), settings_(std::move(settings)) {
  if (settings_.gate.valid())
    gate_ = std::make_shared<rpc::Client>(executor_, std::move(settings_.gate));
}

GuestApis::~GuestApis() = default;

guest_api::Authorize GuestApis::authorize() const {
  if (!gate_) return {};
  return [gate = gate_](guest_api::Access access) { return ask_agent(gate, std::move(access)); };
}

Status GuestApis::start() {
  if (settings_.attestation_agent) {
    guest_api::UnixSettings served;
    served.socket = settings_.agent_socket;
    served.authorize = authorize();
    served.add_services = [digest = settings_.initdata_digest](rpc::Router& router,
                                                               guest_api::Backend& backend) {
      guest_api::add_attestation_agent(router, backend, digest);
    };
    agent_ = std::make_unique<guest_api::UnixServer>(executor_, backend_, std::move(served));
    COFFER_TRY_VOID(agent_->start());
  }
  if (settings_.data_hub) {
    guest_api::UnixSettings served;
    served.socket = settings_.hub_socket;
    served.authorize = authorize();
    served.add_services = guest_api::add_data_hub;
    hub_ = std::make_unique<guest_api::UnixServer>(executor_, backend_, std::move(served));
    COFFER_TRY_VOID(hub_->start());
  }
  if (!settings_.rest) return {};
  guest_api::RestSettings rest;
  rest.port = settings_.port;
  rest.features = settings_.features;
  rest.authorize = authorize();
  rest_ = std::make_unique<guest_api::RestServer>(executor_, backend_, std::move(rest));
  return rest_->start();
}

Task<void> GuestApis::close() {
  if (rest_) co_await rest_->close();
  if (hub_) co_await hub_->close();
  if (agent_) co_await agent_->close();
}

}  // namespace coffer::attester
