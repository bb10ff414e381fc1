// Terms to operands.
#include <algorithm>

#include "policy/compile/emitter.h"
#include "policy/compile/emitter_scope.h"

namespace coffer::policy {

Operand Emitter::place(Operand value, Operand into) {
  if (into == kNowhere || into == value) return value;
  emit(Op::kMove, into, value);
  return into;
}

Operand Emitter::evaluate(const Term* term, Operand into) {
  if (const auto made = premade_.find(term); made != premade_.end())
    return place(made->second, into);
  switch (term->kind) {
    case TermKind::kScalar:
      return place(constant(term->scalar), into);
    case TermKind::kVar:
      if (term->var == kDataVar || term->var == kInputVar) return reference(term, into);
      if (term->var < 0 || !is_bound(term->var)) {
        error(term->loc, "var " + term->name + " is unsafe", "rego_unsafe_var_error");
        return place(constant(Value::null()), into);
      }
      return place(register_of(term->var), into);
    case TermKind::kRef:
      return reference(term, into);
    case TermKind::kArray:
    case TermKind::kSet:
    case TermKind::kObject: {
      const std::vector<Operand> items = evaluate_all(term->items, term->items.size());
      const Operand out = into == kNowhere ? new_register() : into;
      const Op op = term->kind == TermKind::kArray ? Op::kArray
                    : term->kind == TermKind::kSet ? Op::kSet
                                                   : Op::kObject;
      const Operand first = list(items);
      emit(op, out, 0, first, static_cast<Operand>(items.size()));
      return out;
    }
    case TermKind::kCall:
      return call(term, call_arity(*term), into);
    case TermKind::kTemplate:
      return template_string(term, into);
    case TermKind::kArrayComprehension:
    case TermKind::kSetComprehension:
    case TermKind::kObjectComprehension:
      return comprehension(term, into);
  }
  return constant(Value::null());
}

// In an order in which references bind what the others need.
std::vector<Operand> Emitter::evaluate_all(const std::vector<Term*>& items, std::size_t count) {
  const Safety safety(*variables_);
  std::vector<Operand> out(count, 0);
  std::vector<bool> done(count, false);
  for (bool progress = true; progress;) {
    progress = false;
    for (std::size_t i = 0; i < count; ++i) {
      if (done[i] || !safety.can_evaluate(items[i], bound_)) continue;
      out[i] = evaluate(items[i]);
      done[i] = progress = true;
    }
  }
  for (std::size_t i = 0; i < count; ++i)
    if (!done[i]) out[i] = evaluate(items[i]);  // reports what is unsafe
  return out;
}

Operand Emitter::reference(const Term* term, Operand into) {
  const Term* head = term->kind == TermKind::kRef ? term->items.front() : term;
  if (head->kind == TermKind::kVar && head->var == kDataVar) return data_reference(term, into);
  if (head->kind == TermKind::kVar && head->var == kInputVar) {
    if (term->kind == TermKind::kVar) {
      const Operand out = into == kNowhere ? new_register() : into;
      emit_failing(Op::kInput, out);
      return out;
    }
    const Operand input = new_register();
    emit_failing(Op::kInput, input);
    return steps(term, 1, input, false, into);
  }
  return steps(term, 1, evaluate(head), false, into);
}

Operand Emitter::data_reference(const Term* term, Operand into) {
  std::size_t used = 1;
  RuleNode* node = find_node(root_, term, used);
  const std::size_t count = term->kind == TermKind::kRef ? term->items.size() : 1;
  if (node->kind == RuleKind::kFunction) {
    emit_failing(Op::kFail);
    return place(constant(Value::null()), into);
  }
  if (node->kind != RuleKind::kInner) {
    if (node->constant.defined() && options_.optimise) {
      const Value* value = &node->constant;
      while (used < count && term->items[used]->kind == TermKind::kScalar) {
        value = value->get(term->items[used]->scalar);
        if (value == nullptr) {
          emit_failing(Op::kFail);
          return place(constant(Value::null()), into);
        }
        ++used;
      }
      return steps(term, used, constant(*value), false, into);
    }
    const Operand out = into == kNowhere || used < count ? new_register() : into;
    emit_failing(Op::kRule, out).node = node;
    return steps(term, used, out, false, into);
  }
  const bool leaves_tree =
      used < count && (node->children.empty() || term->items[used]->kind == TermKind::kScalar);
  if (leaves_tree) {
    const Operand base = new_register();
    emit_failing(Op::kData, base);
    std::size_t from = 1;
    Operand at = base;
    const bool numeric = std::any_of(term->items.begin() + 1, term->items.end(), [](const Term* t) {
      return t->kind == TermKind::kScalar && t->scalar.is_number();
    });
    while (numeric && from < count && term->items[from]->kind == TermKind::kScalar) {
      const Operand next = new_register();
      emit_failing(Op::kGetBase, next, at, constant(term->items[from++]->scalar));
      at = next;
    }
    return steps(term, from, at, false, into);
  }
  const Operand cursor = new_register();
  emit(Op::kCursor, cursor).node = node;
  may_reach(*node, term, used);
  return steps(term, used, cursor, true, into);
}

// A constant step leads to one child, any other to all of them, the end to everything below.
void Emitter::may_reach(const RuleNode& node, const Term* ref, std::size_t step) {
  const std::size_t count = ref->kind == TermKind::kRef ? ref->items.size() : 1;
  for (const auto& [key, child] : node.children) {
    if (step < count && ref->items[step]->kind == TermKind::kScalar &&
        !(ref->items[step]->scalar == key))
      continue;
    if (child->kind != RuleKind::kInner && child->kind != RuleKind::kFunction)
      fn_.dynamic.push_back(child.get());
    may_reach(*child, ref, step + 1);
  }
}

Operand Emitter::steps(const Term* term, std::size_t from, Operand value, bool cursor,
                       Operand into) {
  const Safety safety(*variables_);
  const std::size_t count = term->kind == TermKind::kRef ? term->items.size() : 1;
  std::size_t i = from;
  while (i < count) {
    const Term* step = term->items[i];
    const bool variable = step->kind == TermKind::kVar && step->var >= 0;
    std::vector<int> outputs;
    const bool composite = step->kind == TermKind::kArray || step->kind == TermKind::kObject;
    const bool ready = (!variable || is_bound(step->var)) &&
                       safety.can_evaluate(step, bound_, &outputs) &&
                       (!composite || outputs.empty());
    if (!ready) {
      loc_ = term->loc;
      value = loop_step(step, value, cursor, i + 1 == count && !cursor ? into : kNowhere);
      ++i;
      continue;
    }
    // A run of known steps is one instruction.
    std::vector<Operand> path;
    while (i < count) {
      const Term* next = term->items[i];
      const bool simple = next->kind == TermKind::kScalar ||
                          (next->kind == TermKind::kVar && next->var >= 0 && is_bound(next->var));
      if (!simple && !path.empty()) break;
      path.push_back(evaluate(next));
      ++i;
      if (cursor || !simple) break;
    }
    loc_ = term->loc;
    const Operand out = i == count && !cursor && into != kNowhere ? into : new_register();
    if (path.size() == 1) {
      emit_failing(cursor ? Op::kGetAny : Op::kGet, out, value, path.front());
    } else {
      const Operand first = list(path);
      emit_failing(Op::kGetPath, out, value, first, static_cast<Operand>(path.size()));
    }
    value = out;
  }
  if (cursor) {
    const Operand out = into == kNowhere ? new_register() : into;
    emit_failing(Op::kExtent, out, value);
    return out;
  }
  return place(value, into);
}

void Emitter::start_loop(Operand collection, bool cursor, Operand key, Operand value) {
  const Operand state = new_register(cursor ? 3 : 2);
  emit_failing(cursor ? Op::kIterAny : Op::kIter, collection, state);
  const Label next = new_label();
  bind(next);
  emit_failing(cursor ? Op::kNextAny : Op::kNext, 0, state, key, value);
  fail_ = next;
  ++loops_;
}

// One pass per element of `value`, its key matched against `step`.
Operand Emitter::loop_step(const Term* step, Operand value, bool& cursor, Operand into) {
  const Operand out = into == kNowhere ? new_register() : into;
  if (step->kind == TermKind::kVar && step->var >= 0 && !is_bound(step->var)) {
    const bool wanted = !variables_->list[static_cast<std::size_t>(step->var)].wildcard;
    start_loop(value, cursor, wanted ? register_of(step->var) : -1, out);
    bound_[static_cast<std::size_t>(step->var)] = true;
    return out;
  }
  const Operand key = new_register();
  start_loop(value, cursor, key, out);
  match(step, key);
  return out;
}

Operand Emitter::call(const Term* term, std::size_t arity, Operand into) {
  if (term->name == "print") {
    error(term->loc, "rego_type_error: print cannot be used as a value", "rego_type_error");
    return constant(Value::null());
  }
  const std::vector<Operand> args = evaluate_all(term->items, std::min(arity, term->items.size()));
  if (term->function == nullptr && term->builtin == nullptr) return constant(Value::null());
  loc_ = term->loc;
  const Operand first = list(args);
  const bool relation = term->builtin != nullptr && (term->builtin->flags & kRelation) != 0;
  const Operand out = into == kNowhere || relation ? new_register() : into;
  if (term->function != nullptr) {
    emit_failing(Op::kCall, out, 0, first, static_cast<Operand>(args.size())).node = term->function;
    return out;
  }
  emit_failing(Op::kBuiltin, out, 0, first, static_cast<Operand>(args.size())).builtin =
      term->builtin;
  if (!relation) return out;
  const Operand solution = into == kNowhere ? new_register() : into;
  start_loop(out, false, -1, solution);
  return solution;
}

Operand Emitter::comprehension(const Term* term, Operand into) {
  const Operand out = into == kNowhere ? new_register() : into;
  const Location loc = term->loc;
  {
    const ClosureScope scope(*this);
    const Label end = new_label();
    fail_ = end;
    const std::size_t begin = fn_.code.size();
    emit(Op::kBegin);
    body(*term->body);
    if (term->kind == TermKind::kObjectComprehension) {
      const std::vector<Operand> pair = evaluate_all(term->items, 2);
      emit(Op::kAppendPair, pair[0], pair[1]);
    } else {
      emit(Op::kAppend, evaluate(term->items.front()));
    }
    jump(fail_);
    bind(end);
    aside_from(begin);
  }
  loc_ = loc;
  emit(term->kind == TermKind::kArrayComprehension ? Op::kEndArray
       : term->kind == TermKind::kSetComprehension ? Op::kEndSet
                                                   : Op::kEndObject,
       out);
  return out;
}

Operand Emitter::template_string(const Term* term, Operand into) {
  std::vector<Operand> parts;
  for (const Term* item : term->items) {
    if (item->kind == TermKind::kScalar) {
      parts.push_back(constant(item->scalar));
      continue;
    }
    // An undefined part shows as such and does not fail the statement.
    const Operand part = new_register();
    emit(Op::kClear, part);
    const ClosureScope scope(*this);
    const Label end = new_label();
    fail_ = end;
    std::vector<int> inside;
    Safety(*variables_).top_level(item, bound_, inside);
    reserve(inside);
    const std::size_t begin = fn_.code.size();
    evaluate(item, part);
    aside_from(begin);
    bind(end);
    parts.push_back(part);
  }
  const Operand out = into == kNowhere ? new_register() : into;
  const Operand first = list(parts);
  emit(Op::kTemplate, out, 0, first, static_cast<Operand>(parts.size()));
  return out;
}

}  // namespace coffer::policy
