#include "guest-agent/rego_gate.h"

#include "policy/agent/agent_policy.h"
#include "policy/agent/request_input.h"

namespace coffer::agent {
namespace {

// What a policy may use in a small guest; far more than the largest known policy does. Explanations
// are for authors: a host must not be able to make the guest search for them.
policy::AgentPolicyOptions options() {
  policy::AgentPolicyOptions options;
  options.limits.max_memory = std::size_t{64} << 20U;
  options.limits.max_print = std::size_t{256} << 10U;
  options.explanations = false;
  return options;
}

}  // namespace

struct RegoGate::Loaded {
  std::unique_ptr<policy::AgentPolicy> policy;
  policy::RequestEncoder encoder;
};

RegoGate::RegoGate() : loaded_(std::make_unique<Loaded>()) {}
RegoGate::~RegoGate() = default;

Result<std::unique_ptr<RegoGate>> RegoGate::load(std::string name, std::string_view text) {
  auto gate = std::unique_ptr<RegoGate>(new RegoGate());
  COFFER_TRY(gate->loaded_->policy,
             policy::AgentPolicy::load(std::move(name), std::string(text), options()));
  return gate;
}

Status RegoGate::set_policy(std::string_view text) {
  COFFER_TRY(loaded_->policy,
             policy::AgentPolicy::load("agent_policy", std::string(text), options()));
  return {};
}

Result<Verdict> RegoGate::evaluate(std::string_view entry_point,
                                   const google::protobuf::Message& request) {
  COFFER_TRY(const auto input, loaded_->encoder.encode(request));
  auto decision = loaded_->policy->evaluate(entry_point, input);
  if (!decision.allowed && !decision.failure.empty())
    return fail(Code::kInternal, std::move(decision.failure));
  return Verdict{.allowed = decision.allowed, .prints = std::move(decision.prints)};
}

}  // namespace coffer::agent
