// Bodies and the statements in them.
#include <algorithm>

#include "policy/syntax/parser_internal.h"

namespace coffer::policy::internal {
namespace {

std::uint32_t depth_of(const Expr& expr) {
  std::uint32_t deepest = expr.body == nullptr ? 0 : expr.body->depth;
  for (const Term* term : {expr.lhs, expr.rhs, expr.key, expr.value, expr.domain})
    if (term != nullptr) deepest = std::max(deepest, term->depth);
  for (const Body* operand : expr.operands) deepest = std::max(deepest, operand->depth);
  for (const With& with : expr.withs) deepest = std::max(deepest, with.value->depth);
  return deepest + 1;
}

}  // namespace

Body* Parser::braced_body() {
  advance();
  return body_until("}");
}

// Up to and including `close`; an empty body is an error.
Body* Parser::body_until(std::string_view close) {
  const DepthGuard guard(*this);
  if (!guard.ok()) return nullptr;
  Body* body = module_.new_body(token_.loc);
  if (is_punct(close)) {
    error(token_.loc, "found empty body");
    return nullptr;
  }
  while (true) {
    Expr* expr = literal();
    if (expr == nullptr) return nullptr;
    body->exprs.push_back(expr);
    body->depth = std::max(body->depth, depth_of(*expr));
    bool separated = token_.newline_before;
    while (is_punct(";")) {
      separated = true;
      advance();
    }
    if (is_punct(close)) {
      advance();
      return body;
    }
    if (token_.kind == TokenKind::kEnd && close.empty()) return body;
    if (!separated) {
      error_unexpected(close.empty() ? "expecting `;` or newline"
                                     : "expecting `" + std::string(close) + "`, `;` or newline");
      return nullptr;
    }
  }
}

Body* Parser::as_body(Expr* expr) {
  Body* body = module_.new_body(expr->loc);
  body->exprs.push_back(expr);
  body->depth = depth_of(*expr);
  return body;
}

Expr* Parser::literal() {
  const DepthGuard guard(*this);
  if (!guard.ok()) return nullptr;
  Expr* expr = nullptr;
  if (keywords_.and_ || keywords_.or_) {
    expr = logic("or");
  } else {
    expr = simple_literal();
  }
  if (expr == nullptr || !withs(*expr)) return nullptr;
  return expr;
}

// `a or b or c` and, binding tighter, `a and b`.
Expr* Parser::logic(std::string_view word) {
  const bool is_or = word == "or";
  Expr* first = is_or ? logic("and") : logic_operand();
  if (first == nullptr) return nullptr;
  Expr* out = nullptr;
  while ((is_or ? keywords_.or_ : keywords_.and_) && is_word(word)) {
    advance();
    if (out == nullptr) {
      out = module_.new_expr(is_or ? ExprKind::kOr : ExprKind::kAnd, first->loc);
      out->operands.push_back(first->generated ? first->body : as_body(first));
    }
    Expr* next = is_or ? logic("and") : logic_operand();
    if (next == nullptr) return nullptr;
    out->operands.push_back(next->generated ? next->body : as_body(next));
  }
  if (out != nullptr) return out;
  if (first->generated && is_or) {
    error(first->loc, "unexpected body: expecting `and` or `or` after it");
    return nullptr;
  }
  return first;
}

// A statement, `{ body }` (as a generated expression) or a group in parentheses.
Expr* Parser::logic_operand() {
  const DepthGuard guard(*this);
  if (!guard.ok()) return nullptr;
  if (is_punct("{")) {
    const Saved start = save();
    const Location loc = token_.loc;
    Body* body = braced_body();
    if (body != nullptr && (is_word("and") || is_word("or") || is_punct("}") || is_punct(";") ||
                            token_.newline_before || token_.kind == TokenKind::kEnd)) {
      Expr* out = module_.new_expr(ExprKind::kAnd, loc);
      out->generated = true;
      out->body = body;
      // A lone `{x}` is a set, not a body: only an operator next to it makes it one.
      return out;
    }
    restore(start);
  }
  if (is_punct("(")) {
    const Saved start = save();
    Expr* group = parenthesised_logic();
    if (group != nullptr) return group;
    restore(start);
  }
  return simple_literal();
}

Expr* Parser::parenthesised_logic() {
  advance();
  Expr* group = logic("or");
  if (group == nullptr || !withs(*group) || !is_punct(")")) return nullptr;
  if (group->kind != ExprKind::kAnd && group->kind != ExprKind::kOr) return nullptr;
  advance();
  return group;
}

Expr* Parser::simple_literal() {
  if (is_word("not")) return negation();
  if (is_word("some")) return some();
  if (keywords_.every && is_word("every")) return every();
  return expression();
}

Expr* Parser::negation() {
  const Location loc = token_.loc;
  advance();
  if (keywords_.not_) {
    Expr* out = module_.new_expr(ExprKind::kNot, loc);
    if (is_punct("{")) {
      const Saved start = save();
      out->body = braced_body();
      if (out->body != nullptr) return out;
      restore(start);
    }
    if (is_punct("(") && (keywords_.and_ || keywords_.or_)) {
      const Saved start = save();
      if (Expr* group = parenthesised_logic(); group != nullptr) {
        out->body = as_body(group);
        return out;
      }
      restore(start);
    }
    Expr* inner = expression();
    if (inner == nullptr) return nullptr;
    out->body = as_body(inner);
    return out;
  }
  Expr* out = nullptr;
  if (is_word("some")) {
    error(token_.loc, "unexpected keyword `some`: illegal negation of 'some'");
    return nullptr;
  }
  out = keywords_.every && is_word("every") ? every() : expression();
  if (out == nullptr) return nullptr;
  out->negated = true;
  out->loc = loc;
  return out;
}

bool Parser::member_parts(const Term* term, Expr& expr) {
  if (term == nullptr || term->kind != TermKind::kCall || term->parenthesised) return false;
  if (term->name == "internal.member_2") {
    expr.value = term->items[0];
    expr.domain = term->items[1];
    return true;
  }
  if (term->name == "internal.member_3") {
    expr.key = term->items[0];
    expr.value = term->items[1];
    expr.domain = term->items[2];
    return true;
  }
  return false;
}

Expr* Parser::some() {
  const Location loc = token_.loc;
  advance();
  const Saved start = save();
  Expr* out = module_.new_expr(ExprKind::kSomeIn, loc);
  if (keywords_.in) {
    const Term* member = infix();
    if (member_parts(member, *out)) return out;
    restore(start);
  }
  out->kind = ExprKind::kSome;
  while (true) {
    if (token_.kind != TokenKind::kIdent || is_reserved(token_.text)) {
      error_unexpected("expecting variable after `some`");
      return nullptr;
    }
    Term* name = module_.new_term(TermKind::kVar, token_.loc);
    name->name = token_.text;
    advance();
    out->vars.push_back(name);
    if (!is_punct(",")) return out;
    advance();
  }
}

Expr* Parser::every() {
  const Location loc = token_.loc;
  advance();
  Expr* out = module_.new_expr(ExprKind::kEvery, loc);
  const Term* member = infix();
  if (member == nullptr) return nullptr;
  if (!member_parts(member, *out)) {
    error(loc, "expected `x[, y] in xs { ... }` expression");
    return nullptr;
  }
  for (const Term* name : {out->key, out->value}) {
    if (name != nullptr && name->kind != TermKind::kVar) {
      error(name->loc, "expected key and value of `every` to be variables");
      return nullptr;
    }
  }
  if (!is_punct("{")) {
    error_unexpected("expecting `{` after the domain of `every`");
    return nullptr;
  }
  out->body = braced_body();
  return out->body == nullptr ? nullptr : out;
}

Expr* Parser::expression() {
  const Location loc = token_.loc;
  Term* lhs = infix();
  if (lhs == nullptr) return nullptr;
  const bool assign = is_punct(":=");
  if (!assign && !is_punct("=")) {
    Expr* out = module_.new_expr(ExprKind::kTerm, loc);
    out->lhs = lhs;
    return out;
  }
  advance();
  Term* rhs = infix();
  if (rhs == nullptr) return nullptr;
  Expr* out = module_.new_expr(assign ? ExprKind::kAssign : ExprKind::kUnify, loc);
  out->lhs = lhs;
  out->rhs = rhs;
  return out;
}

bool Parser::withs(Expr& expr) {
  while (is_word("with")) {
    if (expr.kind == ExprKind::kSome) {
      error(token_.loc, "`with` cannot be used with `some`");
      return false;
    }
    With with;
    with.loc = token_.loc;
    advance();
    with.target = term();
    if (with.target == nullptr) return false;
    if (with.target->kind != TermKind::kVar && with.target->kind != TermKind::kRef) {
      error(with.target->loc, "with target must be a reference");
      return false;
    }
    if (!is_word("as")) {
      error_unexpected("expecting `as` after the target of `with`");
      return false;
    }
    advance();
    with.value = infix();
    if (with.value == nullptr) return false;
    expr.withs.push_back(with);
  }
  return true;
}

}  // namespace coffer::policy::internal
