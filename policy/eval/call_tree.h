// What an evaluation tried, as a tree: each rule with the conditions that did not hold, and below
// each condition the rules that it asked.
//
// Calls of one rule from one condition are taken together, so that the tree is as large as the
// policy's own structure, not as the number of calls.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "policy/eval/machine.h"

namespace coffer::policy {

struct TriedRule;

struct TriedCondition {
  struct Operands {
    Value left;  // undefined when there is none
    Value right;
  };
  std::uint32_t pc = 0;  // in the rule's function
  std::size_t times = 0;
  std::vector<Operands> operands;                 // of the first few times, without repeats
  std::vector<std::unique_ptr<TriedRule>> rules;  // that it asked and that did not hold
};

struct TriedRule {
  const Function* function = nullptr;
  std::size_t calls = 0;
  std::size_t held = 0;  // had a value other than false
  Value result;          // of the last call
  // In the order in which they first failed; each was the first of its attempt to fail.
  std::vector<TriedCondition> conditions;
  // Called, and not the reason of a failure. Without their conditions.
  std::vector<std::unique_ptr<TriedRule>> others;
};

// For one evaluation. The policy must outlive the tree.
class CallTree : public Tracer {
 public:
  void enter(const Function& function, std::span<const Value> args) override;
  void leave(const Function& function, const Value& result) override;
  void failed(const Function& function, std::uint32_t pc, const Value& a, const Value& b) override;

  // nullptr when the rule has no code, being a constant.
  [[nodiscard]] const TriedRule* root() const { return root_.get(); }

 private:
  struct Frame {
    std::unique_ptr<TriedRule> rule;
    std::unique_ptr<TriedRule> last;  // the call that ended last
  };
  static void settle(Frame& frame);

  std::vector<Frame> frames_;
  std::unique_ptr<TriedRule> root_;
};

}  // namespace coffer::policy
