#include "policy/eval/explain.h"

#include <fmt/format.h>

#include <algorithm>

namespace coffer::policy {
namespace {

constexpr std::uint32_t kDeepest = 64;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string shortened(const Value& value, std::size_t most) {
  std::string text = to_rego(value);
  if (text.size() > most) text = text.substr(0, most) + "...";
  return text;
}

}  // namespace

// A test of the result stands right behind the call.
const Function* called_at(const Function& function, std::uint32_t pc) {
  const Instr* instr = &function.code[pc];
  if (instr->op == Op::kTrue && pc > 0) --instr;
  const bool calls = instr->op == Op::kCall || instr->op == Op::kRule;
  return calls ? instr->node->function.get() : nullptr;
}

std::string condition_text(const Location& where) {
  return std::string(trimmed(source_line(where)).substr(0, 200));
}

void Explainer::enter(const Function& function, std::span<const Value>) {
  frames_.push_back({&function, nullptr, nullptr, nullptr});
}

void Explainer::leave(const Function& function, const Value& result) {
  if (frames_.empty()) return;
  const std::shared_ptr<const Failure> best = std::move(frames_.back().best);
  frames_.pop_back();
  const bool refused = result.is_undefined() || result.is_false();
  // A default may refuse in words of its own ({"allowed": false}): kept whatever the result.
  if (!function.is_function) rules_[&function] = best;
  if (frames_.empty()) return;
  frames_.back().child = refused ? best : nullptr;
  frames_.back().child_function = &function;
}

// The branch whose definition got further; of equals the one that is understood more deeply.
bool Explainer::further(const Failure& a, const Failure& b) {
  if (a.progress != b.progress) return a.progress > b.progress;
  if (a.pc != b.pc) return a.pc > b.pc;
  if (a.cause != nullptr && b.cause != nullptr && a.cause->function == b.cause->function)
    return further(*a.cause, *b.cause);
  return a.depth > b.depth;
}

void Explainer::failed(const Function& function, std::uint32_t pc, const Value& a, const Value& b) {
  if (frames_.empty() || frames_.back().function != &function) return;
  Frame& frame = frames_.back();
  Failure failure{&function, pc, a, b, nullptr, pc, 1};
  for (const Definition& definition : function.definitions)
    if (definition.begin <= pc && pc < definition.end) failure.progress = pc - definition.begin;
  const Function* called = called_at(function, pc);
  if (called != nullptr && frame.child_function == called) {
    failure.cause = frame.child;
  } else if (const auto found = rules_.find(called); found != rules_.end()) {
    failure.cause = found->second;
  }
  if (failure.cause != nullptr) failure.depth = std::min(failure.cause->depth + 1, kDeepest);
  if (frame.best == nullptr || further(failure, *frame.best))
    frame.best = std::make_shared<const Failure>(std::move(failure));
}

std::vector<FailedCondition> Explainer::explain(std::string_view name) const {
  std::vector<FailedCondition> out;
  for (const auto& [function, failure] : rules_) {
    if (function->name != name) continue;
    for (const Failure* at = failure.get(); at != nullptr && out.size() < kDeepest;
         at = at->cause.get()) {
      const Location& where = at->function->locations[at->pc];
      out.push_back({at->function->name, where, condition_text(where), at->left, at->right});
    }
    break;
  }
  return out;
}

std::string format_explanation(const std::vector<FailedCondition>& chain,
                               const ExplainOptions& options) {
  if (chain.empty()) return {};
  std::string rules;
  for (const FailedCondition& step : chain) {
    const std::size_t dot = step.rule.rfind('.');
    if (!rules.empty()) rules += " > ";
    rules += dot == std::string::npos ? step.rule : step.rule.substr(dot + 1);
  }
  const FailedCondition& last = chain.back();
  std::string out =
      fmt::format("{}: {}: condition not met: {}", rules, place(last.location), last.condition);
  if (!options.values) return out;
  if (last.left.defined()) out += fmt::format(": left {}", shortened(last.left, options.max_value));
  if (last.right.defined())
    out += fmt::format("{} right {}", last.left.defined() ? "," : ":",
                       shortened(last.right, options.max_value));
  return out;
}

}  // namespace coffer::policy
