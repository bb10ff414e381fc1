// Terms: scalars, references, calls, collections, comprehensions, infix expressions.
#include <algorithm>
#include <array>

#include "policy/syntax/parser_internal.h"

namespace coffer::policy::internal {
namespace {

// Twice what the parser may nest: the compiler's recursion over it fits a thread's stack.
constexpr std::uint32_t kMaxTreeDepth = 800;

struct Operator {
  std::string_view mark;
  std::string_view builtin;
};
// Loosest first; all associate to the left.
constexpr std::array<std::array<Operator, 6>, 5> kLevels = {{
    {{{"==", "equal"}, {"!=", "neq"}, {"<", "lt"}, {"<=", "lte"}, {">", "gt"}, {">=", "gte"}}},
    {{{"|", "or"}}},
    {{{"&", "and"}}},
    {{{"+", "plus"}, {"-", "minus"}}},
    {{{"*", "mul"}, {"/", "div"}, {"%", "rem"}}},
}};

}  // namespace

Term* Parser::scalar(Value value, const Location& loc) {
  Term* out = module_.new_term(TermKind::kScalar, loc);
  out->scalar = std::move(value);
  return out;
}

// Chains of operators are long to the left without any nesting of the parser: what matters to those
// who walk the tree is its depth.
Term* Parser::measured(Term* term) {
  if (term == nullptr) return nullptr;
  std::uint32_t deepest = term->body == nullptr ? 0 : term->body->depth;
  for (const Term* item : term->items) deepest = std::max(deepest, item->depth);
  term->depth = deepest + 1;
  if (term->depth <= kMaxTreeDepth) return term;
  error(term->loc, "nested too deeply");
  return nullptr;
}

Term* Parser::infix(bool key_value) {
  const DepthGuard guard(*this);
  if (!guard.ok()) return nullptr;
  return membership(nullptr, key_value);
}

Term* Parser::membership(Term* lhs, bool key_value) {
  if (lhs == nullptr) lhs = binary(0);
  if (lhs == nullptr) return nullptr;
  if (key_value && keywords_.in && is_punct(",")) {
    const Saved start = save();
    advance();
    Term* middle = binary(0);
    if (middle != nullptr && is_word("in")) {
      advance();
      Term* rhs = binary(0);
      if (rhs == nullptr) return nullptr;
      Term* out = module_.new_term(TermKind::kCall, lhs->loc);
      out->name = "internal.member_3";
      out->items = {lhs, middle, rhs};
      return measured(out) == nullptr ? nullptr : membership(out, key_value);
    }
    restore(start);
  }
  while (keywords_.in && is_word("in")) {
    advance();
    Term* rhs = binary(0);
    if (rhs == nullptr) return nullptr;
    Term* out = module_.new_term(TermKind::kCall, lhs->loc);
    out->name = "internal.member_2";
    out->items = {lhs, rhs};
    lhs = measured(out);
    if (lhs == nullptr) return nullptr;
  }
  return lhs;
}

Term* Parser::binary(int level) {
  if (level == static_cast<int>(kLevels.size())) return term();
  Term* lhs = binary(level + 1);
  while (lhs != nullptr && token_.kind == TokenKind::kPunct) {
    const Operator* found = nullptr;
    for (const Operator& op : kLevels[static_cast<std::size_t>(level)])
      if (!op.mark.empty() && op.mark == token_.text) found = &op;
    if (found == nullptr) return lhs;
    Term* out = module_.new_term(TermKind::kCall, token_.loc);
    advance();
    Term* rhs = binary(level + 1);
    if (rhs == nullptr) return nullptr;
    out->name = found->builtin;
    out->items = {lhs, rhs};
    // Errors and traces show where the expression starts.
    out->loc = lhs->loc;
    lhs = measured(out);
  }
  return lhs;
}

Term* Parser::term() {
  const DepthGuard guard(*this);
  if (!guard.ok()) return nullptr;
  Term* head = primary();
  return head == nullptr || measured(head) == nullptr ? nullptr : measured(ref_tail(head));
}

Term* Parser::primary() {
  const Location loc = token_.loc;
  switch (token_.kind) {
    case TokenKind::kNumber: {
      Term* out = scalar(Value::number_from_literal(token_.text), loc);
      advance();
      return out;
    }
    case TokenKind::kString: {
      Term* out = scalar(Value::string(token_.text), loc);
      advance();
      return out;
    }
    case TokenKind::kTemplate:
      return template_string();
    case TokenKind::kIdent:
      return var();
    case TokenKind::kPunct:
      if (token_.text == "[") return array();
      if (token_.text == "{") return set_or_object();
      if (token_.text == "-") return negative_number();
      if (token_.text == "(") {
        advance();
        Term* out = infix();
        if (out == nullptr || !expect_punct(")", "parsing parenthesised expression"))
          return nullptr;
        out->parenthesised = true;
        return out;
      }
      break;
    default:
      break;
  }
  error_unexpected("expecting expression");
  return nullptr;
}

Term* Parser::negative_number() {
  const Location loc = token_.loc;
  advance();
  if (token_.kind != TokenKind::kNumber) {
    error(loc, "unary - can only be used with numeric literals");
    return nullptr;
  }
  Term* out = scalar(Value::number_from_literal("-" + token_.text), loc);
  advance();
  return out;
}

Term* Parser::var() {
  const Location loc = token_.loc;
  if (is_word("true") || is_word("false")) {
    Term* out = scalar(Value::boolean(token_.text == "true"), loc);
    advance();
    return out;
  }
  if (is_word("null")) {
    advance();
    return scalar(Value::null(), loc);
  }
  if (is_reserved(token_.text) && lexer_.peek_char() != '.') {
    error(loc, "unexpected keyword `" + token_.text + "`");
    return nullptr;
  }
  Term* out = module_.new_term(TermKind::kVar, loc);
  out->name = token_.text;
  advance();
  return out;
}

// `.name`, `[term]` and `(args)` right behind, without whitespace.
Term* Parser::ref_tail(Term* head) {
  Term* ref = nullptr;
  while (token_.kind == TokenKind::kPunct && !token_.space_before) {
    if (token_.text == "(") {
      if (head->kind != TermKind::kVar || head->parenthesised) return head;
      head = call(head);
      if (head == nullptr) return nullptr;
      ref = nullptr;
      continue;
    }
    const bool dot = token_.text == ".";
    if (!dot && token_.text != "[") break;
    advance();
    Term* step = nullptr;
    if (dot) {
      if (token_.kind != TokenKind::kIdent || token_.space_before) {
        error_unexpected("expecting identifier after `.`");
        return nullptr;
      }
      step = scalar(Value::string(token_.text), token_.loc);
      advance();
    } else {
      step = infix();
      if (step == nullptr || !expect_punct("]", "parsing reference")) return nullptr;
    }
    if (ref == nullptr) {
      ref = module_.new_term(TermKind::kRef, head->loc);
      ref->items.push_back(head);
    }
    ref->items.push_back(step);
    head = ref;
    // A reference that names a function: `data.lib.f(x)`.
    if (is_punct("(") && !token_.space_before) {
      bool ground = ref->items.front()->kind == TermKind::kVar;
      for (std::size_t i = 1; i < ref->items.size(); ++i)
        ground = ground && ref->items[i]->kind == TermKind::kScalar;
      if (!ground) return head;
      head = call(ref);
      if (head == nullptr) return nullptr;
      ref = nullptr;
    }
  }
  return head;
}

Term* Parser::call(Term* callee) {
  Term* out = module_.new_term(TermKind::kCall, callee->loc);
  out->callee = callee;
  advance();
  if (!term_list(")", out->items)) return nullptr;
  if (callee->kind == TermKind::kVar && callee->name == "set" && out->items.empty())
    return module_.new_term(TermKind::kSet, callee->loc);
  return out;
}

// Up to and including `close`; a trailing comma is allowed.
bool Parser::term_list(std::string_view close, std::vector<Term*>& out) {
  while (!is_punct(close)) {
    Term* item = infix(false);
    if (item == nullptr) return false;
    out.push_back(item);
    if (is_punct(close)) break;
    if (!expect_punct(",", std::string("expecting `,` or `") + std::string(close) + "`"))
      return false;
  }
  advance();
  return true;
}

Term* Parser::comprehension(TermKind kind, std::vector<Term*> head, std::string_view close,
                            const Location& loc) {
  advance();  // the bar
  Body* body = body_until(close);
  if (body == nullptr) return nullptr;
  Term* out = module_.new_term(kind, loc);
  out->items = std::move(head);
  out->body = body;
  return out;
}

Term* Parser::array() {
  const Location loc = token_.loc;
  advance();
  Term* out = module_.new_term(TermKind::kArray, loc);
  if (is_punct("]")) {
    advance();
    return out;
  }
  // The head of a comprehension is a plain term: `[x + 1 | y]` is a union.
  const Saved start = save();
  Term* head = term();
  if (head == nullptr) return nullptr;
  if (is_punct("|")) {
    if (Term* found = comprehension(TermKind::kArrayComprehension, {head}, "]", loc);
        found != nullptr)
      return found;
    const Saved failed = save();
    restore(start);
    if (term_list("]", out->items)) return out;
    // Neither: the error of the comprehension is the likelier cause.
    restore(failed);
    return nullptr;
  }
  restore(start);
  return term_list("]", out->items) ? out : nullptr;
}

Term* Parser::set_or_object() {
  const Location loc = token_.loc;
  advance();
  if (is_punct("}")) {
    advance();
    return module_.new_term(TermKind::kObject, loc);
  }
  const Saved start = save();
  Term* head = term();
  if (head != nullptr && (is_punct("|") || is_punct("}") || is_punct(",")))
    return finish_set(start, head, is_punct("|"), loc);
  if (head != nullptr && is_punct(":")) return finish_object(head, loc);
  if (head == nullptr) return nullptr;
  restore(start);
  head = infix(false);
  if (head == nullptr) return nullptr;
  if (is_punct(":")) return finish_object(head, loc);
  return finish_set(start, head, false, loc);
}

Term* Parser::finish_set(const Saved& start, Term* head, bool maybe_comprehension,
                         const Location& loc) {
  if (maybe_comprehension) {
    if (Term* found = comprehension(TermKind::kSetComprehension, {head}, "}", loc);
        found != nullptr)
      return found;
    const Saved failed = save();
    restore(start);
    Term* out = module_.new_term(TermKind::kSet, loc);
    if (term_list("}", out->items)) return out;
    restore(failed);
    return nullptr;
  }
  restore(start);
  Term* out = module_.new_term(TermKind::kSet, loc);
  return term_list("}", out->items) ? out : nullptr;
}

Term* Parser::finish_object(Term* key, const Location& loc) {
  advance();  // the colon
  const Saved start = save();
  Term* value = term();
  if (value == nullptr) return nullptr;
  if (is_punct("|")) {
    if (Term* found = comprehension(TermKind::kObjectComprehension, {key, value}, "}", loc);
        found != nullptr)
      return found;
    const Saved failed = save();
    restore(start);
    value = infix(false);
    Term* out = value == nullptr ? nullptr : object_pairs(key, value, loc);
    if (out == nullptr) restore(failed);
    return out;
  }
  if (!is_punct("}") && !is_punct(",")) {
    restore(start);
    value = infix(false);
    if (value == nullptr) return nullptr;
  }
  return object_pairs(key, value, loc);
}

Term* Parser::object_pairs(Term* key, Term* value, const Location& loc) {
  Term* out = module_.new_term(TermKind::kObject, loc);
  while (true) {
    out->items.push_back(key);
    out->items.push_back(value);
    if (is_punct(",")) {
      advance();
      if (is_punct("}")) break;
    } else if (is_punct("}")) {
      break;
    } else {
      error_unexpected("expecting `}` while parsing object");
      return nullptr;
    }
    key = infix(false);
    if (key == nullptr || !expect_punct(":", "parsing object")) return nullptr;
    value = infix(false);
    if (value == nullptr) return nullptr;
  }
  advance();
  return out;
}

Term* Parser::template_string() {
  Term* out = module_.new_term(TermKind::kTemplate, token_.loc);
  const bool raw = token_.raw;
  while (true) {
    std::string text;
    std::string why;
    bool open = false;
    if (!lexer_.template_chunk(raw, text, open, why)) {
      error(out->loc, why);
      return nullptr;
    }
    if (!text.empty()) out->items.push_back(scalar(Value::string(text), out->loc));
    if (!open) break;
    advance();
    Term* part = infix();
    if (part == nullptr) return nullptr;
    if (!is_punct("}")) {
      error_unexpected("expecting `}` while parsing template expression");
      return nullptr;
    }
    // A literal string inside braces is an expression too; mark it by its parentheses.
    out->items.push_back(part);
  }
  advance();
  return out;
}

}  // namespace coffer::policy::internal
