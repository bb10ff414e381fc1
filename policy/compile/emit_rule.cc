// Rules: their definitions, else chains, defaults; and the queries.
#include <algorithm>

#include "policy/compile/emitter.h"
#include "policy/compile/emitter_scope.h"

namespace coffer::policy {

Instr& Emitter::emit(Op op, Operand a, Operand b, Operand c, Operand d) {
  Instr& instr = fn_.code.emplace_back();
  instr.op = op;
  instr.a = a;
  instr.b = b;
  instr.c = c;
  instr.d = d;
  fn_.locations.push_back(loc_);
  return instr;
}

Instr& Emitter::emit_failing(Op op, Operand a, Operand b, Operand c, Operand d) {
  Instr& instr = emit(op, a, b, c, d);
  instr.target = fail_;
  fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
  return instr;
}

void Emitter::jump(Label label) {
  emit(Op::kJump).target = label;
  fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
}

Emitter::Label Emitter::new_label() {
  labels_.push_back(0);
  return static_cast<Label>(labels_.size() - 1);
}

void Emitter::bind(Label label) { labels_[label] = static_cast<std::uint32_t>(fn_.code.size()); }

void Emitter::link() {
  for (const std::uint32_t at : fixups_) fn_.code[at].target = labels_[fn_.code[at].target];
}

Operand Emitter::constant(const Value& value) {
  if (value.is_string()) {
    const auto [found, fresh] = string_constants_.try_emplace(
        std::string(value.as_string()), ~static_cast<Operand>(fn_.constants.size()));
    if (!fresh) return found->second;
  }
  (void)value.hash();  // computed once, here
  fn_.constants.push_back(value);
  return ~static_cast<Operand>(fn_.constants.size() - 1);
}

Operand Emitter::list(const std::vector<Operand>& operands) {
  const auto first = static_cast<Operand>(fn_.lists.size());
  fn_.lists.insert(fn_.lists.end(), operands.begin(), operands.end());
  return first;
}

Operand Emitter::new_register(int count) {
  const Operand first = next_register_;
  next_register_ += count;
  fn_.registers = std::max(fn_.registers, static_cast<std::uint32_t>(next_register_));
  return first;
}

void Emitter::error(const Location& loc, std::string message, std::string code) {
  errors_.push_back({std::move(code), loc, std::move(message)});
}

void Emitter::unsafe(const std::vector<int>& variables) {
  for (const int id : variables) {
    const Variable& v = variables_->list[static_cast<std::size_t>(id)];
    error(v.loc, "var " + v.name + " is unsafe", "rego_unsafe_var_error");
  }
}

void Emitter::begin_definition(const Rule& rule, const Variables& variables) {
  variables_ = &variables;
  bound_.assign(variables.list.size(), false);
  var_registers_.assign(variables.list.size(), 0);
  next_register_ = static_cast<Operand>(fn_.arity);
  (void)new_register();  // the result
  loops_ = 0;
  loc_ = rule.loc;
  fn_.definitions.push_back(
      {static_cast<std::uint32_t>(fn_.code.size()), 0, rule.loc, rule.is_else});
}

void Emitter::end_definition() {
  fn_.definitions.back().end = static_cast<std::uint32_t>(fn_.code.size());
}

void Emitter::rule(RuleNode& node, const std::vector<RuleSource>& sources,
                   const std::unordered_map<const Rule*, Variables>& variables) {
  all_variables_ = &variables;
  fn_.name = node.path();
  fn_.arity = node.arity;
  fn_.is_function = node.kind == RuleKind::kFunction;
  fn_.registers = node.arity + 1;
  switch (node.kind) {
    case RuleKind::kPartialSet:
      partial_set(sources);
      break;
    case RuleKind::kPartialObject:
      partial_object(sources);
      break;
    default:
      complete_rule(sources);
  }
  link();
}

// When every definition gives the same constant there is no conflict to detect, and the first
// success decides.
void Emitter::find_uniform(const std::vector<RuleSource>& sources) {
  uniform_ = {};
  if (!options_.optimise) return;
  Value common;
  for (const RuleSource& source : sources) {
    if (source.rule->is_default) continue;
    for (const Rule* rule = source.rule; rule != nullptr; rule = rule->else_rule) {
      if (rule->value != nullptr && rule->value->kind != TermKind::kScalar) return;
      const Value value = rule->value == nullptr ? Value::boolean(true) : rule->value->scalar;
      if (common.defined() && !(common == value)) return;
      common = value;
    }
  }
  uniform_ = common;
}

void Emitter::complete_rule(const std::vector<RuleSource>& sources) {
  const auto result = static_cast<Operand>(fn_.arity);
  find_uniform(sources);
  for (const RuleSource& source : sources) {
    if (source.rule->is_default) continue;
    if (source.rule->else_rule == nullptr) {
      definition(*source.rule, result);
    } else {
      else_chain(*source.rule, result);
    }
  }
  default_value(sources, result);
  emit(Op::kReturn, result);
}

void Emitter::definition(const Rule& rule, Operand result) {
  const Label end = new_label();
  one_body(rule, result, end);
  bind(end);
}

// Each part only when those before it had no success.
void Emitter::else_chain(const Rule& rule, Operand result) {
  const Label done = new_label();
  const Label none = new_label();
  // Above the registers of all parts, so that it survives them.
  const auto chosen = static_cast<Operand>(fn_.arity) + 1;
  fn_.registers = std::max(fn_.registers, fn_.arity + 2);
  emit(Op::kClear, chosen);
  for (const Rule* part = &rule; part != nullptr; part = part->else_rule) {
    const Label end = new_label();
    one_body(*part, chosen, end);
    bind(end);
    Instr& instr = emit(Op::kJumpDefined, chosen);
    instr.target = done;
    fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
  }
  jump(none);
  bind(done);
  emit(Op::kResult, result, chosen);
  bind(none);
}

// Plain variables alias the argument registers; patterns are matched. What needs variables of the
// body is put off to `later`.
bool Emitter::arguments(const Rule& rule, std::vector<std::pair<const Term*, Operand>>& later) {
  const Safety safety(*variables_);
  std::vector<int> fresh;
  for (std::size_t i = 0; i < rule.args.size(); ++i) {
    const Term* arg = rule.args[i];
    if (arg->kind == TermKind::kVar && arg->var >= 0 && !is_bound(arg->var)) {
      var_registers_[static_cast<std::size_t>(arg->var)] = static_cast<Operand>(i);
      bound_[static_cast<std::size_t>(arg->var)] = true;
    } else {
      safety.top_level(arg, bound_, fresh);
    }
  }
  std::erase_if(fresh, [this](int id) { return is_bound(id); });
  reserve(fresh);
  for (std::size_t i = 0; i < rule.args.size(); ++i) {
    const Term* arg = rule.args[i];
    const bool alias = arg->kind == TermKind::kVar && arg->var >= 0 &&
                       register_of(arg->var) == static_cast<Operand>(i);
    if (alias) continue;
    loc_ = arg->loc;
    if (safety.can_match(arg, bound_)) {
      match(arg, static_cast<Operand>(i));
    } else {
      later.emplace_back(arg, static_cast<Operand>(i));
    }
  }
  return true;
}

void Emitter::one_body(const Rule& rule, Operand result, Label end) {
  begin_definition(rule, all_variables_->at(&rule));
  if (result > static_cast<Operand>(fn_.arity)) (void)new_register();  // else_chain's choice
  fail_ = end;
  std::vector<std::pair<const Term*, Operand>> later;
  arguments(rule, later);
  if (rule.body != nullptr) body(*rule.body);
  for (const auto& [pattern, operand] : later) match(pattern, operand);
  Operand value = constant(Value::boolean(true));
  if (rule.value != nullptr) {
    std::vector<int> fresh;
    Safety(*variables_).top_level(rule.value, bound_, fresh);
    reserve(fresh);
    value = evaluate(rule.value);
  }
  loc_ = rule.loc;
  if (uniform_.defined()) {
    emit(Op::kReturn, constant(uniform_));
  } else {
    emit(Op::kResult, result, value);
    jump(is_constant(value) && options_.optimise ? end : fail_);
  }
  end_definition();
}

void Emitter::default_value(const std::vector<RuleSource>& sources, Operand result) {
  for (const RuleSource& source : sources) {
    if (!source.rule->is_default) continue;
    const Label done = new_label();
    Instr& instr = emit(Op::kJumpDefined, result);
    instr.target = done;
    fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
    begin_definition(*source.rule, all_variables_->at(source.rule));
    fail_ = done;
    evaluate(source.rule->value, result);
    end_definition();
    bind(done);
  }
}

void Emitter::partial_set(const std::vector<RuleSource>& sources) {
  const auto result = static_cast<Operand>(fn_.arity);
  emit(Op::kBegin);
  for (const RuleSource& source : sources) {
    const Rule& rule = *source.rule;
    begin_definition(rule, all_variables_->at(&rule));
    const Label end = new_label();
    fail_ = end;
    if (rule.body != nullptr) body(*rule.body);
    std::vector<int> fresh;
    Safety(*variables_).top_level(rule.key, bound_, fresh);
    reserve(fresh);
    const Operand key = evaluate(rule.key);
    loc_ = rule.loc;
    emit(Op::kAppend, key);
    jump(is_constant(key) ? end : fail_);
    end_definition();
    bind(end);
  }
  emit(Op::kEndSet, result);
  emit(Op::kReturn, result);
}

// One definition of a partial object: a path and a value, or a member of the set at the path.
void Emitter::path_definition(const RuleSource& source) {
  const auto chosen = static_cast<Operand>(fn_.arity) + 1;
  const bool chain = source.rule->else_rule != nullptr;
  const Label done = new_label();
  if (chain) emit(Op::kClear, chosen);
  for (const Rule* rule = source.rule; rule != nullptr; rule = rule->else_rule) {
    begin_definition(*rule, all_variables_->at(rule));
    (void)new_register();  // `chosen`
    const Label end = new_label();
    fail_ = end;
    if (rule->body != nullptr) body(*rule->body);
    std::vector<Term*> terms = path_of(source, *rule);
    if (rule->key != nullptr) terms.push_back(rule->key);
    if (rule->value != nullptr) terms.push_back(rule->value);
    std::vector<int> fresh;
    for (const Term* term : terms) Safety(*variables_).top_level(term, bound_, fresh);
    reserve(fresh);
    std::vector<Operand> operands = evaluate_all(terms, terms.size());
    Operand value = constant(Value::boolean(true));
    if (rule->key != nullptr || rule->value != nullptr) {
      value = operands.back();
      operands.pop_back();
    }
    loc_ = rule->loc;
    const Op op = rule->is_default       ? Op::kPathDefault
                  : rule->key != nullptr ? Op::kPathSet
                                         : Op::kPathValue;
    const Operand first = list(operands);
    emit(op, 0, value, first, static_cast<Operand>(operands.size()));
    if (chain) emit(Op::kMove, chosen, constant(Value::boolean(true)));
    jump(fail_);
    end_definition();
    bind(end);
    if (!chain) continue;
    Instr& instr = emit(Op::kJumpDefined, chosen);
    instr.target = done;
    fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
  }
  bind(done);
}

void Emitter::partial_object(const std::vector<RuleSource>& sources) {
  const auto result = static_cast<Operand>(fn_.arity);
  fn_.registers = std::max(fn_.registers, fn_.arity + 2);
  emit(Op::kPathBegin);
  for (const RuleSource& source : sources)
    if (!source.rule->is_default) path_definition(source);
  for (const RuleSource& source : sources)
    if (source.rule->is_default) path_definition(source);
  emit(Op::kPathEnd, result);
  emit(Op::kReturn, result);
}

void Emitter::query(const Body& query, const Variables& variables,
                    std::vector<std::string>& names) {
  variables_ = &variables;
  bound_.assign(variables.list.size(), false);
  var_registers_.assign(variables.list.size(), 0);
  fn_.name = "query";
  (void)new_register();
  const Label end = new_label();
  fail_ = end;
  const Safety safety(variables);
  std::vector<int> bad;
  const std::vector<const Expr*> order = safety.order(query, bound_, bad);
  if (!bad.empty()) unsafe(bad);
  std::unordered_map<const Expr*, Operand> captured;
  for (const Expr* expr : order) {
    const bool printing =
        expr->lhs != nullptr && expr->lhs->kind == TermKind::kCall && expr->lhs->name == "print";
    const bool full = expr->lhs != nullptr && expr->lhs->kind == TermKind::kCall && !printing &&
                      expr->lhs->items.size() != call_arity(*expr->lhs);
    if (expr->kind != ExprKind::kTerm || expr->negated || printing || full) {
      statement(*expr);
      continue;
    }
    // The value is part of the answer: `captured = term` instead of a condition.
    loc_ = expr->loc;
    const Operand value = new_register();
    captured[expr] = value;
    reserve_variables(*expr);
    if (expr->withs.empty()) {
      evaluate(expr->lhs, value);
    } else {
      std::vector<Term> scratch(1);
      Expr assign = *expr;
      assign.kind = ExprKind::kAssign;
      assign.rhs = expr->lhs;
      assign.lhs = &scratch.front();
      scratch.front().kind = TermKind::kVar;
      scratch.front().var = static_cast<int>(bound_.size());
      Variables extended = variables;
      extended.list.push_back({"", expr->loc, false, true, false, 0});
      bound_.push_back(false);
      var_registers_.push_back(value);
      variables_ = &extended;
      with_statement(assign);
      bound_.pop_back();
      var_registers_.pop_back();
      variables_ = &variables;
    }
    // A lone expression that does not iterate may answer false.
    if (query.exprs.size() > 1 || fail_ != end) emit_failing(Op::kTrue, value);
  }
  std::vector<Operand> row;
  for (std::size_t i = 0; i < variables.list.size(); ++i) {
    const Variable& v = variables.list[i];
    if (v.level != 0 || v.wildcard || !bound_[i]) continue;
    names.push_back(v.name);
    row.push_back(var_registers_[i]);
  }
  const auto width = static_cast<Operand>(row.size());
  for (const Expr* expr : query.exprs) {
    if (expr->kind == ExprKind::kSome) continue;
    const auto found = captured.find(expr);
    row.push_back(found == captured.end() ? constant(Value::boolean(true)) : found->second);
  }
  const Operand first = list(row);
  emit(Op::kRow, width, 0, first, static_cast<Operand>(row.size()));
  jump(fail_);
  bind(end);
  emit(Op::kReturnUndefined);
  link();
}

}  // namespace coffer::policy
