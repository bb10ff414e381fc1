#include "policy/eval/call_tree.h"

#include <algorithm>

#include "policy/eval/explain.h"

namespace coffer::policy {
namespace {

constexpr std::size_t kMostOperands = 3;

void add_operands(TriedCondition& condition, const Value& left, const Value& right) {
  if (condition.operands.size() >= kMostOperands) return;
  const auto same = [&](const TriedCondition::Operands& seen) {
    return seen.left == left && seen.right == right;
  };
  if (!std::any_of(condition.operands.begin(), condition.operands.end(), same))
    condition.operands.push_back({left, right});
}

TriedCondition& condition_at(TriedRule& rule, std::uint32_t pc) {
  for (TriedCondition& condition : rule.conditions)
    if (condition.pc == pc) return condition;
  rule.conditions.emplace_back().pc = pc;
  return rule.conditions.back();
}

void add(std::vector<std::unique_ptr<TriedRule>>& rules, std::unique_ptr<TriedRule> rule);

// Recursion is bounded by the depth of calls (Limits::max_depth).
void merge(TriedRule& into, TriedRule& from) {
  into.calls += from.calls;
  into.held += from.held;
  into.result = std::move(from.result);
  for (TriedCondition& theirs : from.conditions) {
    TriedCondition& ours = condition_at(into, theirs.pc);
    ours.times += theirs.times;
    for (const auto& operands : theirs.operands) add_operands(ours, operands.left, operands.right);
    for (auto& rule : theirs.rules) add(ours.rules, std::move(rule));
  }
  for (auto& rule : from.others) add(into.others, std::move(rule));
}

void add(std::vector<std::unique_ptr<TriedRule>>& rules, std::unique_ptr<TriedRule> rule) {
  for (auto& known : rules)
    if (known->function == rule->function) return merge(*known, *rule);
  rules.push_back(std::move(rule));
}

}  // namespace

// The last call was not what failed.
void CallTree::settle(Frame& frame) {
  if (frame.last == nullptr) return;
  frame.last->conditions.clear();
  frame.last->others.clear();
  add(frame.rule->others, std::move(frame.last));
}

void CallTree::enter(const Function& function, std::span<const Value>) {
  if (!frames_.empty()) settle(frames_.back());
  frames_.push_back({std::make_unique<TriedRule>(), nullptr});
  frames_.back().rule->function = &function;
}

void CallTree::leave(const Function&, const Value& result) {
  if (frames_.empty()) return;
  settle(frames_.back());
  std::unique_ptr<TriedRule> rule = std::move(frames_.back().rule);
  frames_.pop_back();
  rule->calls = 1;
  rule->held = result.is_undefined() || result.is_false() ? 0 : 1;
  rule->result = result;
  (frames_.empty() ? root_ : frames_.back().last) = std::move(rule);
}

void CallTree::failed(const Function& function, std::uint32_t pc, const Value& a, const Value& b) {
  if (frames_.empty() || frames_.back().rule->function != &function) return;
  Frame& frame = frames_.back();
  TriedCondition& condition = condition_at(*frame.rule, pc);
  ++condition.times;
  add_operands(condition, a, b);
  if (frame.last != nullptr && frame.last->function == called_at(function, pc))
    add(condition.rules, std::move(frame.last));
}

}  // namespace coffer::policy
