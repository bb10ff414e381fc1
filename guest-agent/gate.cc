#include "guest-agent/gate.h"

#include <fmt/format.h>

namespace coffer::agent {

Result<Verdict> AllowAllGate::evaluate(std::string_view /*entry_point*/,
                                       const google::protobuf::Message& /*request*/) {
  return Verdict{.allowed = true, .reason = {}};
}

Status AllowAllGate::set_policy(std::string_view /*text*/) {
  return fail(Code::kUnimplemented,
              "set policy: this agent runs without a policy engine (allow-all)");
}

Status Gate::ask(std::string_view entry_point, const google::protobuf::Message& request) const {
  auto verdict = policy_.evaluate(entry_point, request);
  if (!verdict) {
    log_.warn("policy could not be evaluated",
              {{"entry_point", entry_point}, {"error", verdict.error()}});
    return fail(Code::kInternal,
                fmt::format("\"{}: internal error {}\"", entry_point, verdict.error().to_string()));
  }
  if (!verdict->allowed) {
    log_.warn("request denied by policy", {{"entry_point", entry_point}});
    return fail(Code::kPermissionDenied,
                fmt::format("\"{} is blocked by policy: {}\"", entry_point, verdict->reason));
  }
  return {};
}

}  // namespace coffer::agent
