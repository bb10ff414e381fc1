// Negation.
#include "policy/compile/emitter.h"
#include "policy/compile/emitter_scope.h"

namespace coffer::policy {

// Classic negation: what stands in the arguments of the negated call is evaluated before it, and
// when that is undefined the body fails rather than the negation holding.
void Emitter::lift(const Term* term, bool top) {
  switch (term->kind) {
    case TermKind::kScalar:
    case TermKind::kVar:
      return;
    case TermKind::kRef:
      if (top) {
        if (term->items.front()->kind == TermKind::kCall) lift(term->items.front(), false);
        for (std::size_t i = 1; i < term->items.size(); ++i) lift(term->items[i], false);
        return;
      }
      break;
    case TermKind::kArray:
    case TermKind::kObject:
    case TermKind::kSet:
      for (const Term* item : term->items) lift(item, false);
      return;
    default:
      break;
  }
  premade_[term] = evaluate(term);
}

void Emitter::negated(const Expr& expr) {
  if (expr.kind == ExprKind::kTerm && expr.lhs->kind == TermKind::kCall) {
    const bool equality = expr.lhs->builtin != nullptr && expr.lhs->builtin->name == "equal";
    for (const Term* item : expr.lhs->items) lift(item, equality);
  } else {
    if (expr.lhs != nullptr) lift(expr.lhs, true);
    if (expr.rhs != nullptr) lift(expr.rhs, true);
  }
  const Label outer = fail_;
  const ClosureScope scope(*this);
  const Label holds = new_label();
  fail_ = holds;
  // The negation itself is what is undone here; the rest of the statement is as written.
  Expr plain = expr;
  plain.negated = false;
  const std::size_t begin = fn_.code.size();
  plain_statement(plain);
  aside_from(begin);
  loc_ = expr.loc;
  Instr& instr = emit(Op::kFail);
  instr.target = outer;
  fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
  bind(holds);
}

void Emitter::not_body(const Expr& expr) {
  const Label outer = fail_;
  const ClosureScope scope(*this);
  const Label holds = new_label();
  fail_ = holds;
  const std::size_t begin = fn_.code.size();
  body(*expr.body);
  aside_from(begin);
  loc_ = expr.loc;
  Instr& instr = emit(Op::kFail);
  instr.target = outer;
  fixups_.push_back(static_cast<std::uint32_t>(fn_.code.size() - 1));
  bind(holds);
}

}  // namespace coffer::policy
