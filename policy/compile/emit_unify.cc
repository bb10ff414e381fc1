// `a = b`: which side is the value and which the pattern is known when compiling.
#include <algorithm>

#include "policy/compile/emitter.h"

namespace coffer::policy {

void Emitter::bind_variable(int variable, Operand value) {
  if (!variables_->list[static_cast<std::size_t>(variable)].wildcard) {
    const Operand target = register_of(variable);
    if (target != value) emit(Op::kMove, target, value);
  }
  bound_[static_cast<std::size_t>(variable)] = true;
}

void Emitter::match(const Term* pattern, Operand value) {
  switch (pattern->kind) {
    case TermKind::kVar:
      if (pattern->var < 0) break;
      if (!is_bound(pattern->var)) return bind_variable(pattern->var, value);
      emit_failing(Op::kEqual, register_of(pattern->var), value);
      return;
    case TermKind::kArray:
      emit_failing(Op::kIsArray, value, static_cast<Operand>(pattern->items.size()));
      return match_items(pattern, value);
    case TermKind::kObject:
      emit_failing(Op::kIsObject, value, static_cast<Operand>(pattern->items.size() / 2));
      return match_items(pattern, value);
    default:
      break;
  }
  const Operand other = evaluate(pattern);
  loc_ = pattern->loc;
  emit_failing(Op::kEqual, value, other);
}

// Elements that bind plain variables come first, so that the others can use those.
void Emitter::match_items(const Term* pattern, Operand value) {
  const Safety safety(*variables_);
  const bool object = pattern->kind == TermKind::kObject;
  const std::size_t count = object ? pattern->items.size() / 2 : pattern->items.size();
  std::vector<bool> done(count, false);
  for (bool progress = true; progress;) {
    progress = false;
    for (std::size_t i = 0; i < count; ++i) {
      if (done[i]) continue;
      const Term* item = pattern->items[object ? 2 * i + 1 : i];
      if (!safety.can_match(item, bound_)) continue;
      done[i] = progress = true;
      if (item->kind == TermKind::kVar && item->var >= 0 &&
          variables_->list[static_cast<std::size_t>(item->var)].wildcard && !object) {
        bound_[static_cast<std::size_t>(item->var)] = true;
        continue;
      }
      const Operand key = object ? evaluate(pattern->items[2 * i])
                                 : constant(Value::integer(static_cast<std::int64_t>(i)));
      const bool direct = item->kind == TermKind::kVar && item->var >= 0 && !is_bound(item->var) &&
                          !variables_->list[static_cast<std::size_t>(item->var)].wildcard;
      const Operand element = direct ? register_of(item->var) : new_register();
      loc_ = pattern->loc;
      emit_failing(Op::kGet, element, value, key);
      match(item, element);
    }
  }
  for (std::size_t i = 0; i < count; ++i)
    if (!done[i]) (void)evaluate(pattern->items[object ? 2 * i + 1 : i]);  // reports what is unsafe
}

void Emitter::unify(const Term* a, const Term* b) {
  const Safety safety(*variables_);
  for (const auto& [value, pattern] : {std::pair(a, b), std::pair(b, a)}) {
    std::vector<int> outputs;
    if (!safety.can_evaluate(value, bound_, &outputs)) continue;
    Bound after = bound_;
    for (const int id : outputs) after[static_cast<std::size_t>(id)] = true;
    if (!safety.can_match(pattern, after)) continue;
    const bool direct = pattern->kind == TermKind::kVar && pattern->var >= 0 &&
                        !is_bound(pattern->var) &&
                        !variables_->list[static_cast<std::size_t>(pattern->var)].wildcard &&
                        std::find(outputs.begin(), outputs.end(), pattern->var) == outputs.end();
    if (direct) {
      evaluate(value, register_of(pattern->var));
      bound_[static_cast<std::size_t>(pattern->var)] = true;
      return;
    }
    const Operand operand = evaluate(value);
    loc_ = a->loc;
    match(pattern, operand);
    return;
  }
  const bool same_kind =
      a->kind == b->kind && (a->kind == TermKind::kArray || a->kind == TermKind::kObject);
  if (!same_kind || a->items.size() != b->items.size()) {
    if (!same_kind) error(a->loc, "cannot unify: unsafe variables", "rego_unsafe_var_error");
    emit_failing(Op::kFail);
    std::vector<int> all;
    safety.top_level(a, bound_, all);
    safety.top_level(b, bound_, all);
    for (const int id : all) bound_[static_cast<std::size_t>(id)] = true;
    return;
  }
  std::vector<bool> done(a->items.size(), false);
  for (bool progress = true; progress;) {
    progress = false;
    for (std::size_t i = 0; i < a->items.size(); ++i) {
      if (done[i] || !safety.can_unify(a->items[i], b->items[i], bound_)) continue;
      unify(a->items[i], b->items[i]);
      done[i] = progress = true;
    }
  }
}

}  // namespace coffer::policy
