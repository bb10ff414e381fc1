#include "policy/compile/safety.h"

#include <algorithm>

namespace coffer::policy {
namespace {

bool contains(const std::vector<int>& list, int id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

}  // namespace

void Safety::captured(const void* closure, Needs& out) const {
  const auto found = variables_.captured.find(closure);
  if (found == variables_.captured.end()) return;
  out.inputs.insert(out.inputs.end(), found->second.begin(), found->second.end());
}

// Inside a reference's brackets variables are outputs, also within arrays and objects.
void Safety::step_needs(const Term* step, Needs& out) const {
  switch (step->kind) {
    case TermKind::kVar:
      if (step->var >= 0) out.outputs.push_back(step->var);
      return;
    case TermKind::kArray:
    case TermKind::kObject:
    case TermKind::kSet:
      for (const Term* item : step->items) step_needs(item, out);
      return;
    default:
      needs(step, out);
  }
}

void Safety::needs(const Term* term, Needs& out) const {
  switch (term->kind) {
    case TermKind::kScalar:
      return;
    case TermKind::kVar:
      if (term->var >= 0) out.inputs.push_back(term->var);
      return;
    case TermKind::kRef:
      needs(term->items.front(), out);
      for (std::size_t i = 1; i < term->items.size(); ++i) step_needs(term->items[i], out);
      return;
    case TermKind::kArray:
    case TermKind::kSet:
    case TermKind::kObject:
    case TermKind::kCall:
    case TermKind::kTemplate:
      for (const Term* item : term->items) needs(item, out);
      return;
    case TermKind::kArrayComprehension:
    case TermKind::kSetComprehension:
    case TermKind::kObjectComprehension:
      return captured(term, out);
  }
}

// In a pattern plain variables are outputs; everything else is evaluated and compared.
void Safety::pattern_needs(const Term* pattern, Needs& out) const {
  switch (pattern->kind) {
    case TermKind::kVar:
      if (pattern->var >= 0) out.outputs.push_back(pattern->var);
      return;
    case TermKind::kArray:
      for (const Term* item : pattern->items) pattern_needs(item, out);
      return;
    case TermKind::kObject:
      for (std::size_t i = 0; i < pattern->items.size(); ++i) {
        if (i % 2 == 0) {
          needs(pattern->items[i], out);
        } else {
          pattern_needs(pattern->items[i], out);
        }
      }
      return;
    default:
      needs(pattern, out);
  }
}

bool Safety::satisfied(const Needs& needs, const Bound& bound) {
  return std::all_of(needs.inputs.begin(), needs.inputs.end(), [&](int id) {
    return bound[static_cast<std::size_t>(id)] || contains(needs.outputs, id);
  });
}

void Safety::add_unbound(const std::vector<int>& vars, const Bound& bound,
                         std::vector<int>* outputs) {
  if (outputs == nullptr) return;
  for (const int id : vars)
    if (!bound[static_cast<std::size_t>(id)] && !contains(*outputs, id)) outputs->push_back(id);
}

bool Safety::can_evaluate(const Term* term, const Bound& bound, std::vector<int>* outputs) const {
  Needs n;
  needs(term, n);
  if (!satisfied(n, bound)) return false;
  add_unbound(n.outputs, bound, outputs);
  return true;
}

bool Safety::can_match(const Term* pattern, const Bound& bound, std::vector<int>* outputs) const {
  Needs n;
  pattern_needs(pattern, n);
  if (!satisfied(n, bound)) return false;
  add_unbound(n.outputs, bound, outputs);
  return true;
}

bool Safety::can_unify(const Term* a, const Term* b, const Bound& bound,
                       std::vector<int>* outputs) const {
  for (const auto& [value, pattern] : {std::pair(a, b), std::pair(b, a)}) {
    std::vector<int> out;
    if (!can_evaluate(value, bound, &out)) continue;
    Bound after = bound;
    for (const int id : out) after[static_cast<std::size_t>(id)] = true;
    if (!can_match(pattern, after, &out)) continue;
    add_unbound(out, bound, outputs);
    return true;
  }
  const bool arrays = a->kind == TermKind::kArray && b->kind == TermKind::kArray;
  const bool objects = a->kind == TermKind::kObject && b->kind == TermKind::kObject;
  if (!arrays && !objects) return false;
  if (a->items.size() != b->items.size()) return true;  // never equal
  // Element by element, in whatever order works.
  Bound now = bound;
  std::vector<bool> done(a->items.size(), false);
  for (bool progress = true; progress;) {
    progress = false;
    for (std::size_t i = 0; i < a->items.size(); ++i) {
      if (done[i]) continue;
      std::vector<int> out;
      if (!can_unify(a->items[i], b->items[i], now, &out)) continue;
      for (const int id : out) now[static_cast<std::size_t>(id)] = true;
      add_unbound(out, bound, outputs);
      done[i] = progress = true;
    }
  }
  return std::find(done.begin(), done.end(), false) == done.end();
}

// All but wildcards must be bound; those are tried for all values.
bool Safety::negation_ready(const Expr& expr, const Bound& bound) const {
  Needs n;
  if (expr.lhs != nullptr) needs(expr.lhs, n);
  if (expr.rhs != nullptr) needs(expr.rhs, n);
  if (expr.domain != nullptr) needs(expr.domain, n);
  if (expr.kind == ExprKind::kEvery) captured(&expr, n);
  for (const With& with : expr.withs) needs(with.value, n);
  n.inputs.insert(n.inputs.end(), n.outputs.begin(), n.outputs.end());
  return std::all_of(n.inputs.begin(), n.inputs.end(), [&](int id) {
    const auto i = static_cast<std::size_t>(id);
    return bound[i] || variables_.list[i].wildcard;
  });
}

bool Safety::can_execute(const Expr& expr, const Bound& bound, std::vector<int>* outputs) const {
  if (expr.negated) return negation_ready(expr, bound);
  for (const With& with : expr.withs)
    if (!can_evaluate(with.value, bound)) return false;
  switch (expr.kind) {
    case ExprKind::kTerm: {
      const Term* call = expr.lhs;
      if (call->kind == TermKind::kCall && call->name != "print") {
        // One argument more than it takes: the last is where the result goes.
        const std::size_t arity = call_arity(*call);
        if (call->items.size() == arity + 1) {
          Needs n;
          for (std::size_t i = 0; i < arity; ++i) needs(call->items[i], n);
          if (!satisfied(n, bound)) return false;
          std::vector<int> out;
          add_unbound(n.outputs, bound, &out);
          Bound after = bound;
          for (const int id : out) after[static_cast<std::size_t>(id)] = true;
          if (!can_match(call->items.back(), after, &out)) return false;
          add_unbound(out, bound, outputs);
          return true;
        }
      }
      return can_evaluate(expr.lhs, bound, outputs);
    }
    case ExprKind::kUnify:
      return can_unify(expr.lhs, expr.rhs, bound, outputs);
    case ExprKind::kAssign: {
      std::vector<int> out;
      if (!can_evaluate(expr.rhs, bound, &out)) return false;
      Bound after = bound;
      for (const int id : out) after[static_cast<std::size_t>(id)] = true;
      if (!can_match(expr.lhs, after, &out)) return false;
      add_unbound(out, bound, outputs);
      return true;
    }
    case ExprKind::kSome:
      return true;
    case ExprKind::kSomeIn: {
      std::vector<int> out;
      if (!can_evaluate(expr.domain, bound, &out)) return false;
      Bound after = bound;
      for (const int id : out) after[static_cast<std::size_t>(id)] = true;
      Needs n;
      if (expr.key != nullptr) pattern_needs(expr.key, n);
      pattern_needs(expr.value, n);
      if (!satisfied(n, after)) return false;
      add_unbound(n.outputs, after, &out);
      add_unbound(out, bound, outputs);
      return true;
    }
    case ExprKind::kEvery: {
      Needs n;
      needs(expr.domain, n);
      captured(&expr, n);
      if (!satisfied(n, bound)) return false;
      add_unbound(n.outputs, bound, outputs);
      return true;
    }
    case ExprKind::kNot: {
      Needs n;
      captured(&expr, n);
      return satisfied(n, bound);
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      Needs n;
      for (const Body* operand : expr.operands) captured(operand, n);
      return satisfied(n, bound);
    }
  }
  return false;
}

std::vector<const Expr*> Safety::order(const Body& body, Bound bound,
                                       std::vector<int>& unsafe) const {
  std::vector<const Expr*> out;
  std::vector<bool> done(body.exprs.size(), false);
  for (bool progress = true; progress;) {
    progress = false;
    for (std::size_t i = 0; i < body.exprs.size(); ++i) {
      if (done[i]) continue;
      std::vector<int> bound_now;
      if (!can_execute(*body.exprs[i], bound, &bound_now)) continue;
      for (const int id : bound_now) bound[static_cast<std::size_t>(id)] = true;
      out.push_back(body.exprs[i]);
      done[i] = progress = true;
    }
  }
  for (std::size_t i = 0; i < body.exprs.size(); ++i)
    if (!done[i]) unbound(*body.exprs[i], bound, unsafe);
  return out;
}

void Safety::unbound(const Expr& expr, const Bound& bound, std::vector<int>& out) const {
  Needs n;
  for (const Term* term : {expr.lhs, expr.rhs, expr.key, expr.value, expr.domain})
    if (term != nullptr) needs(term, n);
  for (const With& with : expr.withs) needs(with.value, n);
  captured(&expr, n);
  for (const Body* operand : expr.operands) captured(operand, n);
  add_unbound(n.inputs, bound, &out);
  if (expr.negated) add_unbound(n.outputs, bound, &out);
}

void Safety::top_level(const Term* term, const Bound& bound, std::vector<int>& out) const {
  if (term == nullptr) return;
  switch (term->kind) {
    case TermKind::kVar:
      if (term->var >= 0) add_unbound({term->var}, bound, &out);
      return;
    case TermKind::kScalar:
    case TermKind::kArrayComprehension:
    case TermKind::kSetComprehension:
    case TermKind::kObjectComprehension:
      return;
    default:
      for (const Term* item : term->items) top_level(item, bound, out);
  }
}

void Safety::top_level(const Expr& expr, const Bound& bound, std::vector<int>& out) const {
  for (const Term* term : {expr.lhs, expr.rhs, expr.domain}) top_level(term, bound, out);
  if (expr.kind != ExprKind::kEvery) {
    top_level(expr.key, bound, out);
    top_level(expr.value, bound, out);
  }
  for (const With& with : expr.withs) top_level(with.value, bound, out);
}

}  // namespace coffer::policy
