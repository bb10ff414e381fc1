#include "policy/agent/agent_policy.h"

#include <fmt/format.h>

#include "policy/value/json_patch.h"

namespace coffer::policy {
namespace {

class JoinedPrints : public PrintSink {
 public:
  void print(const Location& where, std::string_view line) override {
    if (!text_.empty()) text_ += ' ';
    text_ += fmt::format("{}: {}", place(where), line);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

Value empty_state() {
  ObjectBuilder data;
  data.add("pstate", Value::empty_object());
  return data.build();
}

}  // namespace

AgentPolicy::AgentPolicy(std::shared_ptr<Policy> policy, const AgentPolicyOptions& options)
    : options_(options), policy_(std::move(policy)), evaluator_(policy_), data_(empty_state()) {}

Result<std::unique_ptr<AgentPolicy>> AgentPolicy::load(std::string name, std::string text,
                                                       const AgentPolicyOptions& options) {
  Engine engine({.version = options.version});
  COFFER_TRY_VOID(engine.add_module(std::move(name), std::move(text)));
  COFFER_TRY(auto policy, engine.compile());
  std::unique_ptr<AgentPolicy> out(new AgentPolicy(std::move(policy), options));
  const auto flag = [&](std::string_view rule) {
    return out->evaluator_.rule(fmt::format("data.agent_policy.{}", rule), out->data_,
                                Value::empty_object(), {.limits = options.limits});
  };
  const auto failing = flag("AllowRequestsFailingPolicy");
  out->allow_failing_ = failing.has_value() && failing->is_true();
  // Undefined is the default; what cannot be evaluated was meant to say something: keep silent.
  const auto details = flag("DenialDetails");
  out->details_ = details.has_value() && (details->is_undefined() || details->is_true());
  return out;
}

bool AgentPolicy::has_rule(std::string_view request_name) const {
  return policy_->find(fmt::format("data.agent_policy.{}", request_name)) != nullptr;
}

// Applies the operations of an answer that allows.
Result<bool> AgentPolicy::verdict(const Value& answer) {
  if (answer.is_boolean()) return answer.is_true();
  if (answer.is_undefined()) return fail(Code::kInternal, "the policy has no answer to it");
  const Value* allowed = answer.find("allowed");
  if (allowed == nullptr || !allowed->is_boolean())
    return fail(Code::kInternal,
                fmt::format("the policy's answer must be a boolean or an object with a boolean "
                            "'allowed', got {}",
                            type_name(answer.type())));
  if (!allowed->is_true()) return false;
  if (const Value* ops = answer.find("ops"); ops != nullptr && !ops->is_null()) {
    COFFER_TRY(Value next, apply_patch(data_, *ops));
    if (!next.is_object()) return fail(Code::kInternal, "the policy's 'ops' leave no object");
    data_ = std::move(next);
  }
  return true;
}

Decision AgentPolicy::evaluate(std::string_view request_name, const Value& input) {
  Decision decision;
  const std::string path = fmt::format("data.agent_policy.{}", request_name);
  const auto answer = evaluator_.rule(path, data_, input, {.limits = options_.limits});
  const Result<bool> allowed =
      answer ? verdict(*answer) : Result<bool>(std::unexpected(answer.error()));
  if (allowed && *allowed) {
    decision.allowed = true;
    return decision;
  }
  if (!allowed) decision.failure = allowed.error().to_string();
  if (details_) explain(path, input, decision);
  if (allow_failing_) decision.allowed = decision.allowed_by_exception = true;
  return decision;
}

// A refusal is evaluated once more, now with print and a tracer: evaluation is pure, so the answer
// is the same, and requests that are allowed do not pay for either.
void AgentPolicy::explain(const std::string& path, const Value& input, Decision& decision) {
  JoinedPrints prints;
  Explainer explainer;
  EvalOptions options{.limits = options_.limits, .print = &prints};
  if (options_.explanations) options.tracer = &explainer;
  if (const auto again = evaluator_.rule(path, data_, input, options);
      !again && decision.failure.empty())
    decision.failure = again.error().to_string();
  decision.prints = prints.take();
  if (!options_.explanations) return;
  decision.chain = explainer.explain(path);
  decision.reason = format_explanation(decision.chain, options_.explain);
}

}  // namespace coffer::policy
