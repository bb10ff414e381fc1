// The policy of an agent: package agent_policy, one rule a request, state kept by patches.
//
// A request is the rule `data.agent_policy.<RequestName>` with the request as input and
// {"pstate": ...} as data. A boolean is the verdict; an object {"allowed": bool, "ops": [...]} is
// too, and when it allows, its RFC 6902 operations become the new data. Whatever else comes out, an
// error or a limit included, denies.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/engine.h"
#include "policy/eval/explain.h"

namespace coffer::policy {

struct AgentPolicyOptions {
  RegoVersion version = RegoVersion::kV1;
  Limits limits;
  ExplainOptions explain;
  bool explanations = true;
};

struct Decision {
  bool allowed = false;
  // Denied only because of `AllowRequestsFailingPolicy` it is allowed all the same.
  bool allowed_by_exception = false;
  // When denied: why, in a line (format_explanation), if explanations are on. A tenant turns them,
  // and what the policy printed, off with `DenialDetails := false` in the policy: both go to the
  // host.
  std::string reason;
  // The same in parts, outermost rule first.
  std::vector<FailedCondition> chain;
  // When denied: what the policy printed, each line as "file:line: text", joined by spaces.
  std::string prints;
  // When no verdict could be found (undefined, error, limit, another type): the cause. Denied.
  std::string failure;
};

class AgentPolicy {
 public:
  // kInvalidArgument when the text does not compile. State starts empty. Evaluates
  // AllowRequestsFailingPolicy and DenialDetails, once, with {} as input.
  [[nodiscard]] static Result<std::unique_ptr<AgentPolicy>> load(
      std::string name, std::string text, const AgentPolicyOptions& options = {});

  // Whether refusals may say why.
  [[nodiscard]] bool details() const { return details_; }
  // Whether the policy says anything about requests of this name.
  [[nodiscard]] bool has_rule(std::string_view request_name) const;
  // Allowed requests may change the state.
  [[nodiscard]] Decision evaluate(std::string_view request_name, const Value& input);
  [[nodiscard]] const Value& data() const { return data_; }
  void set_data(Value data) { data_ = std::move(data); }
  [[nodiscard]] Evaluator& evaluator() { return evaluator_; }

 private:
  AgentPolicy(std::shared_ptr<Policy> policy, const AgentPolicyOptions& options);
  [[nodiscard]] Result<bool> verdict(const Value& answer);
  void explain(const std::string& path, const Value& input, Decision& decision);

  AgentPolicyOptions options_;
  std::shared_ptr<Policy> policy_;  // shared with the evaluator
  Evaluator evaluator_;
  Value data_;
  bool allow_failing_ = false;
  bool details_ = true;
};

}  // namespace coffer::policy
