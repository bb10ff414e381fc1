#include "guest-agent/api_gate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "guest-agent/api_caller.h"
#include "rpc/protos/guest_api_gate.pb.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::agent {
namespace {

constexpr std::array<std::string_view, 5> kRules{
    "GetResourceRequest", "GetTokenRequest", "GetEvidenceRequest",
    "ExtendRuntimeMeasurementRequest", "UnsealSecretRequest"};
constexpr std::uint16_t kRestPort = 8006;
constexpr const char* kNameAnnotation = "io.kubernetes.cri.container-name";

std::unexpected<Error> refuse(std::string_view rule, std::string_view why) {
  return fail(Code::kPermissionDenied, fmt::format("{} is blocked by policy: {}", rule, why));
}

CgroupDirectories cgroups_of(const ApiContainers& containers) {
  CgroupDirectories out;
  for (const auto& [id, container] : containers) out.emplace(id, container.cgroup);
  return out;
}

}  // namespace

bool ApiGate::restricts() const {
  return std::ranges::any_of(kRules, [&](auto rule) { return policy_.has_rule(rule); });
}

Status ApiGate::name_caller(gate::AuthorizeRequest& request) const {
  if (request.peer_port() == 0 || request.peer_port() > UINT16_MAX)
    return fail(Code::kPermissionDenied,
                "it came by a Unix socket, which does not say which container asks");
  const ApiContainers containers = containers_();
  COFFER_TRY(const auto id, find_caller(static_cast<std::uint16_t>(request.peer_port()), kRestPort,
                                        cgroups_of(containers), proc_));
  const auto& annotations = containers.at(id).annotations;
  auto& input = *request.mutable_request();
  input.set_container_id(id);
  input.mutable_annotations()->insert(annotations.begin(), annotations.end());
  const auto name = annotations.find(kNameAnnotation);
  input.set_container_name(name == annotations.end() ? "" : name->second);
  return {};
}

Status ApiGate::authorize(gate::AuthorizeRequest request) const {
  const std::string rule = request.rule();
  if (std::ranges::find(kRules, rule) == kRules.end())
    return fail(Code::kInvalidArgument, fmt::format("authorize '{}': not a rule", rule));
  // What the agent itself asks for belongs to a request that the policy has allowed already.
  const bool own = request.peer_port() == 0 && request.peer_pid() == ::getpid();
  if (own || !restricts()) return {};
  if (const auto named = name_caller(request); !named) return refuse(rule, named.error().message());
  const auto verdict = policy_.evaluate(rule, request.request());
  if (!verdict) return refuse(rule, verdict.error().to_string());
  if (!verdict->allowed) return refuse(rule, verdict->reason);
  return {};
}

void ApiGate::add_to(rpc::Router& router) const {
  rpc::add<gate::AuthorizeRequest, gate::AuthorizeResponse>(
      router, "coffer.gate.GuestApiGate", "Authorize",
      [this](rpc::CallContext /*context*/,
             gate::AuthorizeRequest request) -> Task<Result<gate::AuthorizeResponse>> {
        COFFER_CO_TRY_VOID(authorize(std::move(request)));
        co_return gate::AuthorizeResponse();
      });
}

}  // namespace coffer::agent
