// Why a request was refused: the rule, the first condition that did not hold on the branch that got
// furthest, and the values that were compared.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/eval/machine.h"

namespace coffer::policy {

struct FailedCondition {
  std::string rule;       // "data.agent_policy.allow_env"
  Location location;      // of the condition
  std::string condition;  // its source line, trimmed
  Value left;             // operands; undefined when there is none
  Value right;
};

struct ExplainOptions {
  std::size_t max_value = 160;  // bytes of a value that are shown
  bool values = true;           // the tenant may not want them shown
};

// Outermost rule first, the condition that failed last.
[[nodiscard]] std::string format_explanation(const std::vector<FailedCondition>& chain,
                                             const ExplainOptions& options = {});

// The rule or function whose result the condition at `pc` is about; nullptr when it is none's.
[[nodiscard]] const Function* called_at(const Function& function, std::uint32_t pc);
// The source line that a condition stands on, trimmed.
[[nodiscard]] std::string condition_text(const Location& where);

// A Tracer that keeps, per call, only the branch that got furthest. For one evaluation.
class Explainer : public Tracer {
 public:
  void enter(const Function& function, std::span<const Value> args) override;
  void leave(const Function& function, const Value& result) override;
  void failed(const Function& function, std::uint32_t pc, const Value& a, const Value& b) override;

  // How the last failure of the rule `name` came about; empty when it did not fail.
  [[nodiscard]] std::vector<FailedCondition> explain(std::string_view name) const;

 private:
  struct Failure {
    const Function* function = nullptr;
    std::uint32_t pc = 0;
    Value left;
    Value right;
    std::shared_ptr<const Failure> cause;  // shared: several branches may end in one call
    std::uint32_t progress = 0;            // instructions of the definition that held
    std::uint32_t depth = 1;
  };
  struct Frame {
    const Function* function = nullptr;
    std::shared_ptr<const Failure> best;
    std::shared_ptr<const Failure> child;  // best of the call that failed last
    const Function* child_function = nullptr;
  };
  [[nodiscard]] static bool further(const Failure& a, const Failure& b);

  std::vector<Frame> frames_;
  // Of rules, whose results are remembered and whose calls are seen once.
  std::unordered_map<const Function*, std::shared_ptr<const Failure>> rules_;
};

}  // namespace coffer::policy
