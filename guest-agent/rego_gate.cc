#include "guest-agent/rego_gate.h"

#include <algorithm>

#include "policy/agent/agent_policy.h"
#include "policy/agent/request_input.h"

namespace coffer::agent {
namespace {

// What a policy may use in a small guest; far more than the largest known policy does. A refusal is
// evaluated twice, the second time for its reason, under the same limits.
policy::AgentPolicyOptions options() {
  policy::AgentPolicyOptions options;
  options.limits.max_memory = std::size_t{64} << 20U;
  options.limits.max_print = std::size_t{256} << 10U;
  return options;
}

// Containerd, the kubelet and Kubernetes' events cut long errors: what matters stands first and the
// rest is trimmed. Policies print whole requests; the end is nearest to the refusal.
constexpr std::size_t kMaxReason = 1536;
constexpr std::size_t kMaxPrints = 512;

constexpr std::string_view kNoDetails = "the policy allows no details";

std::string trimmed(std::string text) {
  if (text.size() <= kMaxReason) return text;
  text.resize(kMaxReason);
  return text + " ...";
}

std::string reason_of(const policy::Decision& decision) {
  std::string reason = decision.reason.empty() ? "no rule allows it" : trimmed(decision.reason);
  if (decision.prints.empty()) return reason;
  reason += "; the policy printed: ";
  const std::string_view prints = decision.prints;
  if (prints.size() > kMaxPrints) reason += "... ";
  reason += prints.substr(prints.size() - std::min(prints.size(), kMaxPrints));
  return reason;
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

bool RegoGate::has_rule(std::string_view entry_point) const {
  return loaded_->policy->has_rule(entry_point);
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
    return fail(Code::kInternal, loaded_->policy->details() ? trimmed(std::move(decision.failure))
                                                            : std::string(kNoDetails));
  if (decision.allowed) return Verdict{.allowed = true, .reason = {}};
  if (!loaded_->policy->details()) {
    return Verdict{.allowed = false, .reason = std::string(kNoDetails)};
  }
  return Verdict{.allowed = false, .reason = reason_of(decision)};
}

}  // namespace coffer::agent
