// Bodies and statements.
#include <algorithm>

#include "policy/compile/emitter.h"
#include "policy/compile/emitter_scope.h"

namespace coffer::policy {

void Emitter::reserve(const std::vector<int>& variables) {
  for (const int id : variables) {
    auto& reg = var_registers_[static_cast<std::size_t>(id)];
    reg = new_register();
  }
}

// Variables get their registers before temporaries do, so that those can be given back.
void Emitter::reserve_variables(const Expr& expr) {
  std::vector<int> fresh;
  Safety(*variables_).top_level(expr, bound_, fresh);
  reserve(fresh);
}

void Emitter::body(const Body& body) {
  const Safety safety(*variables_);
  std::vector<int> bad;
  const std::vector<const Expr*> order = safety.order(body, bound_, bad);
  if (!bad.empty()) unsafe(bad);
  for (const Expr* expr : order) statement(*expr);
}

void Emitter::statement(const Expr& expr) {
  loc_ = expr.loc;
  reserve_variables(expr);
  const Operand mark = next_register_;
  const std::uint32_t loops = loops_;
  if (expr.withs.empty()) {
    plain_statement(expr);
  } else {
    with_statement(expr);
  }
  if (loops_ == loops) next_register_ = mark;
}

void Emitter::plain_statement(const Expr& expr) {
  if (expr.negated) return negated(expr);
  switch (expr.kind) {
    case ExprKind::kTerm:
      return condition(expr.lhs);
    case ExprKind::kUnify:
      return unify(expr.lhs, expr.rhs);
    case ExprKind::kAssign: {
      if (expr.lhs->kind == TermKind::kVar && expr.lhs->var >= 0 && !is_bound(expr.lhs->var) &&
          !variables_->list[static_cast<std::size_t>(expr.lhs->var)].wildcard) {
        evaluate(expr.rhs, register_of(expr.lhs->var));
        bound_[static_cast<std::size_t>(expr.lhs->var)] = true;
        return;
      }
      const Operand value = evaluate(expr.rhs);
      loc_ = expr.loc;
      return match(expr.lhs, value);
    }
    case ExprKind::kSome:
      return;
    case ExprKind::kSomeIn:
      return some_in(expr);
    case ExprKind::kEvery:
      return every(expr);
    case ExprKind::kNot:
      return not_body(expr);
    case ExprKind::kAnd:
    case ExprKind::kOr:
      return and_or(expr);
  }
}

void Emitter::condition(const Term* term) {
  if (term->kind == TermKind::kCall) {
    if (term->name == "print") return print(term);
    const std::size_t arity = call_arity(*term);
    if (term->items.size() == arity + 1) {
      const Term* result = term->items.back();
      const Operand value = call(term, arity, kNowhere);
      loc_ = term->loc;
      return match(result, value);
    }
    struct Direct {
      std::string_view builtin;
      Op op;
    };
    static constexpr Direct kDirect[] = {{"equal", Op::kEqual},
                                         {"neq", Op::kNotEqual},
                                         {"lt", Op::kLess},
                                         {"lte", Op::kLessEqual},
                                         {"gt", Op::kGreater},
                                         {"gte", Op::kGreaterEqual},
                                         {"internal.member_2", Op::kMember}};
    if (term->builtin != nullptr && term->callee == nullptr) {
      for (const Direct& direct : kDirect) {
        if (direct.builtin != term->builtin->name) continue;
        const std::vector<Operand> sides = evaluate_all(term->items, 2);
        loc_ = term->loc;
        emit_failing(direct.op, sides[0], sides[1]);
        return;
      }
    }
  }
  const Operand value = evaluate(term);
  loc_ = term->loc;
  if (is_constant(value)) {
    if (constant_value(value).is_false()) emit_failing(Op::kFail);
    return;
  }
  emit_failing(Op::kTrue, value);
}

void Emitter::some_in(const Expr& expr) {
  const Operand domain = evaluate(expr.domain);
  loc_ = expr.loc;
  const auto target = [&](const Term* pattern) -> Operand {
    if (pattern == nullptr) return -1;
    if (pattern->kind == TermKind::kVar && pattern->var >= 0 && !is_bound(pattern->var))
      return variables_->list[static_cast<std::size_t>(pattern->var)].wildcard
                 ? -1
                 : register_of(pattern->var);
    return new_register();
  };
  const Operand key = target(expr.key);
  const Operand value = target(expr.value);
  start_loop(domain, false, key, value);
  for (const auto& [pattern, operand] : {std::pair(expr.key, key), std::pair(expr.value, value)}) {
    if (pattern == nullptr) continue;
    if (pattern->kind == TermKind::kVar && pattern->var >= 0 && !is_bound(pattern->var)) {
      bound_[static_cast<std::size_t>(pattern->var)] = true;
    } else {
      match(pattern, operand);
    }
  }
}

void Emitter::every(const Expr& expr) {
  const Operand domain = evaluate(expr.domain);
  loc_ = expr.loc;
  const Label outer = fail_;
  const ClosureScope scope(*this);
  const Label done = new_label();
  std::vector<int> fresh;
  Safety(*variables_).top_level(expr.key, bound_, fresh);
  Safety(*variables_).top_level(expr.value, bound_, fresh);
  reserve(fresh);
  const auto target = [&](const Term* var) {
    return var == nullptr || variables_->list[static_cast<std::size_t>(var->var)].wildcard
               ? Operand{-1}
               : register_of(var->var);
  };
  const Operand key = target(expr.key);
  const Operand value = target(expr.value);
  const Operand state = new_register(2);
  emit_failing(Op::kIter, domain, state);
  const Label next = new_label();
  bind(next);
  fail_ = done;
  emit_failing(Op::kNext, 0, state, key, value);
  aside_from(fn_.code.size() - 1);  // nothing to iterate over: it holds
  fail_ = outer;
  for (const int id : fresh) bound_[static_cast<std::size_t>(id)] = true;
  body(*expr.body);
  jump(next);
  bind(done);
}

void Emitter::and_or(const Expr& expr) {
  const Label outer = fail_;
  if (expr.kind == ExprKind::kAnd) {
    for (const Body* operand : expr.operands) {
      const ClosureScope scope(*this);
      body(*operand);
    }
    return;
  }
  const Label done = new_label();
  for (std::size_t i = 0; i < expr.operands.size(); ++i) {
    const bool last = i + 1 == expr.operands.size();
    const ClosureScope scope(*this);
    const Label next = last ? outer : new_label();
    fail_ = next;
    body(*expr.operands[i]);
    jump(done);
    if (!last) bind(next);
  }
  bind(done);
}

void Emitter::print(const Term* call) {
  const Label skip = new_label();
  Instr& instr = emit(Op::kSkipPrint);
  instr.target = skip;
  fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
  std::vector<Operand> args;
  for (const Term* item : call->items) {
    // Each operand as the array of its values: none when undefined, several when it iterates.
    const Operand values = new_register();
    {
      const ClosureScope scope(*this);
      const Label end = new_label();
      fail_ = end;
      const std::size_t begin = fn_.code.size();
      emit(Op::kBegin);
      emit(Op::kAppend, evaluate(item));
      jump(fail_);
      aside_from(begin);
      bind(end);
    }
    emit(Op::kEndSet, values);
    args.push_back(values);
  }
  loc_ = call->loc;
  const Operand first = list(args);
  emit(Op::kPrint, 0, 0, first, static_cast<Operand>(args.size()));
  bind(skip);
}

bool Emitter::may_loop(const Expr& expr) const {
  if (expr.kind == ExprKind::kSomeIn) return true;
  if (expr.negated || expr.kind == ExprKind::kNot || expr.kind == ExprKind::kAnd ||
      expr.kind == ExprKind::kOr)
    return false;
  const Safety safety(*variables_);
  std::vector<int> outputs;
  for (const Term* term : {expr.lhs, expr.rhs, expr.domain}) {
    if (term == nullptr) continue;
    if (term->kind == TermKind::kCall && term->builtin != nullptr &&
        (term->builtin->flags & kRelation) != 0)
      return true;
    if (term->kind == TermKind::kRef || term->kind == TermKind::kCall)
      safety.top_level(term, bound_, outputs);
  }
  return !outputs.empty();
}

bool Emitter::with_target(const With& with, WithTarget& out) {
  const Term* target = with.target;
  const Term* head = target->kind == TermKind::kRef ? target->items.front() : target;
  const auto function_of = [this](const Term* term) -> RuleNode* {
    if (term->kind != TermKind::kRef || term->items.front()->var != kDataVar) return nullptr;
    std::size_t used = 1;
    RuleNode* node = find_node(root_, term, used);
    return used == term->items.size() && node->kind == RuleKind::kFunction ? node : nullptr;
  };
  const auto builtin_of = [](const Term* term) -> const Builtin* {
    const Term* first = term->kind == TermKind::kRef ? term->items.front() : term;
    if (first->kind != TermKind::kVar || first->var != kUnresolved) return nullptr;
    std::string name = first->name;
    if (term->kind == TermKind::kRef)
      for (std::size_t i = 1; i < term->items.size(); ++i)
        name += "." + (term->items[i]->scalar.is_string()
                           ? std::string(term->items[i]->scalar.as_string())
                           : std::string("?"));
    return find_builtin(name);
  };
  out.function = function_of(target);
  out.builtin = builtin_of(target);
  if (out.function != nullptr || out.builtin != nullptr) {
    out.kind = out.function != nullptr ? WithTarget::Kind::kFunction : WithTarget::Kind::kBuiltin;
    const bool name = with.value->kind == TermKind::kVar || with.value->kind == TermKind::kRef;
    if (name) {
      out.by_function = function_of(with.value);
      out.by_builtin = builtin_of(with.value);
    }
    if (out.by_function == nullptr && out.by_builtin == nullptr) out.value = evaluate(with.value);
    return true;
  }
  if (head->var != kInputVar && head->var != kDataVar) {
    error(with.loc,
          "with keyword target must reference existing input, data, or a function: undefined "
          "function " +
              head->name,
          "rego_type_error");
    return false;
  }
  out.kind = head->var == kInputVar ? WithTarget::Kind::kInput : WithTarget::Kind::kData;
  if (target->kind == TermKind::kRef) {
    for (std::size_t i = 1; i < target->items.size(); ++i) {
      if (target->items[i]->kind != TermKind::kScalar) {
        error(with.loc, "with keyword target must be a ground reference", "rego_type_error");
        return false;
      }
      out.path.push_back(target->items[i]->scalar);
    }
  }
  if (out.kind == WithTarget::Kind::kData) {
    RuleNode* node = root_;
    for (const Value& step : out.path) {
      const auto found = node->children.find(step);
      node = found == node->children.end() ? nullptr : found->second.get();
      if (node == nullptr) break;
    }
    out.hides = node;
  }
  out.value = evaluate(with.value);
  return true;
}

void Emitter::with_statement(const Expr& expr) {
  std::vector<WithTarget> targets;
  for (const With& with : expr.withs) {
    WithTarget target;
    loc_ = with.loc;
    if (!with_target(with, target)) return;
    targets.push_back(std::move(target));
  }
  Expr plain = expr;
  plain.withs.clear();
  const Label outer = fail_;
  const Label unwind = new_label();
  fn_.withs.push_back(std::move(targets));
  loc_ = expr.loc;
  emit_failing(Op::kWith, static_cast<Operand>(fn_.withs.size() - 1));
  fail_ = unwind;
  if (may_loop(plain)) {
    std::vector<int> outputs;
    Safety(*variables_).top_level(plain, bound_, outputs);
    std::erase_if(outputs, [this](int id) {
      return variables_->list[static_cast<std::size_t>(id)].wildcard;
    });
    return collected(plain, outputs, unwind, outer);
  }
  // `every`, comprehensions and the like keep their loops to themselves.
  plain_statement(plain);
  const Label done = new_label();
  emit(Op::kEndWith);
  jump(done);
  bind(unwind);
  emit(Op::kEndWith);
  jump(outer);
  bind(done);
  fail_ = outer;
}

// The solutions are collected inside the modified world and gone through outside of it.
void Emitter::collected(const Expr& expr, const std::vector<int>& outputs, Label unwind,
                        Label outer) {
  const Operand solutions = new_register();
  emit(Op::kBegin);
  plain_statement(expr);
  std::vector<Operand> values;
  values.reserve(outputs.size());
  for (const int id : outputs) values.push_back(register_of(id));
  const Operand row = new_register();
  const Operand first = list(values);
  emit(Op::kArray, row, 0, first, static_cast<Operand>(values.size()));
  emit(Op::kAppend, row);
  jump(fail_);
  bind(unwind);
  emit(Op::kEndArray, solutions);
  emit(Op::kEndWith);
  fail_ = outer;
  start_loop(solutions, false, -1, row);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    emit_failing(Op::kGet, register_of(outputs[i]), row,
                 constant(Value::integer(static_cast<std::int64_t>(i))));
}

}  // namespace coffer::policy
