#include "policy/syntax/ast.h"

namespace coffer::policy {

Term* clone(Module& module, const Term* term) {
  if (term == nullptr) return nullptr;
  Term* out = module.new_term(term->kind, term->loc);
  out->scalar = term->scalar;
  out->name = term->name;
  out->parenthesised = term->parenthesised;
  out->items.reserve(term->items.size());
  for (const Term* item : term->items) out->items.push_back(clone(module, item));
  out->callee = clone(module, term->callee);
  out->body = clone(module, term->body);
  return out;
}

Body* clone(Module& module, const Body* body) {
  if (body == nullptr) return nullptr;
  Body* out = module.new_body(body->loc);
  for (const Expr* expr : body->exprs) out->exprs.push_back(clone(module, expr));
  return out;
}

Expr* clone(Module& module, const Expr* expr) {
  Expr* out = module.new_expr(expr->kind, expr->loc);
  out->negated = expr->negated;
  out->generated = expr->generated;
  out->lhs = clone(module, expr->lhs);
  out->rhs = clone(module, expr->rhs);
  out->key = clone(module, expr->key);
  out->value = clone(module, expr->value);
  out->domain = clone(module, expr->domain);
  for (const Term* var : expr->vars) out->vars.push_back(clone(module, var));
  out->body = clone(module, expr->body);
  for (const Body* operand : expr->operands) out->operands.push_back(clone(module, operand));
  for (const With& with : expr->withs)
    out->withs.push_back({clone(module, with.target), clone(module, with.value), with.loc});
  return out;
}

}  // namespace coffer::policy
