// Rules: heads, bodies, else.
#include "policy/syntax/parser_internal.h"

namespace coffer::policy::internal {

Rule* Parser::new_rule(const Location& loc) {
  Rule& rule = module_.rule_pool.emplace_back();
  rule.loc = loc;
  return &rule;
}

bool Parser::default_rule() {
  Rule* rule = new_rule(token_.loc);
  rule->is_default = true;
  advance();
  if (!rule_name(*rule)) return false;
  rule->assigned = is_punct(":=");
  if (!rule->assigned && !is_punct("=")) {
    error_unexpected("expecting `:=` or `=` after the name of a default rule");
    return false;
  }
  advance();
  rule->value = infix();
  if (rule->value == nullptr) return false;
  module_.rules.push_back(rule);
  return true;
}

// Name, steps and arguments: `p.q[x]`, `f(a, b)`.
bool Parser::rule_name(Rule& rule) {
  if (token_.kind != TokenKind::kIdent || (is_reserved(token_.text) && lexer_.peek_char() != '.')) {
    error_unexpected("expecting the name of a rule");
    return false;
  }
  rule.loc = token_.loc;
  Term* name = module_.new_term(TermKind::kVar, token_.loc);
  name->name = token_.text;
  advance();
  Term* head = ref_tail(name);
  if (head == nullptr) return false;
  if (head->kind == TermKind::kCall || (head->kind == TermKind::kSet && name->name == "set")) {
    rule.is_function = true;
    if (head->callee == nullptr) {
      error(head->loc, "rule name conflicts with built-in function");
      return false;
    }
    rule.args = head->items;
    rule.is_function = !rule.args.empty();  // `f() = 1` is a plain rule
    head = head->callee;
  }
  if (head->kind == TermKind::kVar) {
    rule.ref = module_.new_term(TermKind::kRef, head->loc);
    rule.ref->items.push_back(head);
  } else {
    rule.ref = head;
  }
  if (rule.ref->kind != TermKind::kRef || rule.ref->items.front()->kind != TermKind::kVar) {
    error(head->loc, "rule head must be a reference");
    return false;
  }
  return true;
}

bool Parser::rule_head(Rule& rule) {
  if (!rule_name(rule)) return false;
  if (keywords_.contains && is_word("contains")) {
    if (rule.is_function) {
      error(token_.loc, "the contains keyword can only be used with multi-value rules");
      return false;
    }
    advance();
    rule.key = infix();
    return rule.key != nullptr;
  }
  if (is_punct(":=") || is_punct("=")) {
    rule.assigned = is_punct(":=");
    advance();
    rule.value = infix();
    return rule.value != nullptr;
  }
  return true;
}

bool Parser::rule_body(Rule& rule, bool& has_if) {
  has_if = false;
  if (keywords_.if_ && is_word("if")) {
    has_if = true;
    advance();
    if (is_punct("{")) {
      const Saved start = save();
      rule.body = braced_body();
      const bool more = (keywords_.and_ && is_word("and")) || (keywords_.or_ && is_word("or"));
      if (rule.body != nullptr && !more) return true;
      const Saved failed = save();
      restore(start);
      Expr* expr = literal();
      if (expr == nullptr) {
        restore(failed);
        if (errors_.empty()) error_unexpected("expecting a rule body");
        return false;
      }
      rule.body = as_body(expr);
      return true;
    }
    Expr* expr = literal();
    if (expr == nullptr) return false;
    rule.body = as_body(expr);
    return true;
  }
  if (!is_punct("{")) return true;
  if (module_.version == RegoVersion::kV1) {
    error(rule.loc, "`if` keyword is required before rule body");
    return false;
  }
  rule.body = braced_body();
  return rule.body != nullptr;
}

// Decides between a partial set, a partial object and a complete rule.
bool Parser::finish_head(Rule& rule, bool has_if, bool has_body) {
  const bool v1 = module_.version == RegoVersion::kV1;
  const std::size_t steps = rule.ref->items.size();
  if (!v1 && !has_if && rule.key == nullptr && rule.value == nullptr && !rule.is_function &&
      steps == 2) {
    rule.key = rule.ref->items.back();
    rule.ref->items.pop_back();
  }
  if (v1 && rule.key == nullptr && rule.value == nullptr && !has_body) {
    error(rule.loc, "rule must have value assignment and/or body declaration");
    return false;
  }
  if (!v1 && rule.key == nullptr && rule.value == nullptr && !has_body && !rule.is_function) {
    error(rule.loc, "var cannot be used for rule name");
    return false;
  }
  return true;
}

bool Parser::rule() {
  if (is_word("default")) return default_rule();
  Rule* rule = new_rule(token_.loc);
  if (!rule_head(*rule)) return false;
  bool has_if = false;
  if (!rule_body(*rule, has_if)) return false;
  if (!finish_head(*rule, has_if, rule->body != nullptr)) return false;
  module_.rules.push_back(rule);
  if (is_word("else")) {
    if (rule->key != nullptr) {
      error(token_.loc, "else keyword cannot be used on multi-value rules");
      return false;
    }
    if (rule->body == nullptr) {
      error(token_.loc, "else keyword requires a rule body before it");
      return false;
    }
    return else_chain(*rule);
  }
  return chained_bodies(*rule);
}

void Parser::copy_head(Rule& to, const Rule& from) {
  to.ref = clone(module_, from.ref);
  to.is_function = from.is_function;
  for (const Term* arg : from.args) to.args.push_back(clone(module_, arg));
}

bool Parser::else_chain(Rule& first) {
  Rule* last = &first;
  while (is_word("else")) {
    Rule* rule = new_rule(token_.loc);
    advance();
    rule->is_else = true;
    copy_head(*rule, first);
    if (is_punct(":=") || is_punct("=")) {
      rule->assigned = is_punct(":=");
      advance();
      rule->value = infix();
      if (rule->value == nullptr) return false;
    }
    bool has_if = false;
    if (!rule_body(*rule, has_if)) return false;
    if (rule->body == nullptr && rule->value == nullptr) {
      error(rule->loc, "else must have a value or a body");
      return false;
    }
    last->else_rule = rule;
    last = rule;
    if (rule->body == nullptr) break;
  }
  return true;
}

// v0: `p { a } { b }` is two rules.
bool Parser::chained_bodies(const Rule& first) {
  while (first.body != nullptr && is_punct("{")) {
    Rule* next = new_rule(token_.loc);
    copy_head(*next, first);
    next->key = first.key == nullptr ? nullptr : clone(module_, first.key);
    next->value = first.value == nullptr ? nullptr : clone(module_, first.value);
    next->assigned = first.assigned;
    next->body = braced_body();
    if (next->body == nullptr) return false;
    module_.rules.push_back(next);
  }
  return true;
}

}  // namespace coffer::policy::internal
