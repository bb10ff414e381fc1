// The recursive-descent parser behind parser.h. Depth is bounded by ParseOptions::max_depth, and
// the work that backtracking can cause by a budget of tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/syntax/ast.h"
#include "policy/syntax/lexer.h"
#include "policy/syntax/parser.h"

namespace coffer::policy::internal {

class Parser {
 public:
  Parser(Module& module, const ParseOptions& options);

  // False when there were errors.
  bool module();
  bool query();
  [[nodiscard]] std::vector<Diagnostic>& errors() { return errors_; }

 private:
  struct Keywords {
    bool in = false;
    bool every = false;
    bool if_ = false;
    bool contains = false;
    bool not_ = false;
    bool and_ = false;
    bool or_ = false;
  };
  struct Saved {
    Lexer lexer;
    Token token;
    std::size_t errors;
  };
  class DepthGuard;

  // Tokens.
  void advance();
  [[nodiscard]] Saved save() const { return {lexer_, token_, errors_.size()}; }
  void restore(const Saved& saved);
  [[nodiscard]] bool is_punct(std::string_view mark) const {
    return token_.kind == TokenKind::kPunct && token_.text == mark;
  }
  // An identifier that acts as this keyword here: not `in.foo`, which is a reference.
  [[nodiscard]] bool is_word(std::string_view word) const {
    return token_.kind == TokenKind::kIdent && token_.text == word && lexer_.peek_char() != '.';
  }
  [[nodiscard]] bool is_reserved(std::string_view word) const;
  bool expect_punct(std::string_view mark, std::string_view doing);
  void error(const Location& loc, std::string message, std::string code = "rego_parse_error");
  void error_unexpected(std::string_view want);

  // Modules and rules (parse_module.cc).
  bool package();
  bool import();
  bool import_keywords(const Import& import, const std::vector<std::string>& path);
  bool rule();
  bool default_rule();
  bool rule_head(Rule& rule);
  bool rule_name(Rule& rule);
  bool rule_body(Rule& rule, bool& has_if);
  bool finish_head(Rule& rule, bool has_if, bool has_body);
  void copy_head(Rule& to, const Rule& from);
  bool else_chain(Rule& rule);
  bool chained_bodies(const Rule& first);
  Rule* new_rule(const Location& loc);

  // Bodies and statements (parse_body.cc).
  Body* body_until(std::string_view close);
  Body* braced_body();
  Expr* literal();
  Expr* logic(std::string_view word);
  Expr* logic_operand();
  Expr* parenthesised_logic();
  Body* as_body(Expr* expr);
  Expr* simple_literal();
  Expr* negation();
  Expr* some();
  Expr* every();
  Expr* expression();
  bool member_parts(const Term* term, Expr& expr);
  bool withs(Expr& expr);

  // Terms (parse_term.cc).
  Term* infix(bool key_value = true);
  Term* membership(Term* lhs, bool key_value);
  Term* binary(int level);
  Term* term();
  Term* primary();
  Term* ref_tail(Term* head);
  Term* negative_number();
  Term* var();
  Term* call(Term* callee);
  Term* array();
  Term* set_or_object();
  Term* finish_set(const Saved& start, Term* head, bool maybe_comprehension, const Location& loc);
  Term* finish_object(Term* key, const Location& loc);
  Term* object_pairs(Term* key, Term* value, const Location& loc);
  Term* comprehension(TermKind kind, std::vector<Term*> head, std::string_view close,
                      const Location& loc);
  Term* template_string();
  bool term_list(std::string_view close, std::vector<Term*>& out);
  Term* measured(Term* term);
  Term* scalar(Value value, const Location& loc);

  Module& module_;
  const ParseOptions& options_;
  Lexer lexer_;
  Token token_;
  Keywords keywords_;
  bool imports_rego_ = false;
  bool imports_future_ = false;
  std::vector<Diagnostic> errors_;
  std::uint32_t depth_ = 0;
  std::size_t budget_;
};

class Parser::DepthGuard {
 public:
  explicit DepthGuard(Parser& parser)
      : parser_(parser), ok_(++parser.depth_ <= parser.options_.max_depth) {
    if (!ok_) parser_.error(parser_.token_.loc, "nested too deeply");
  }
  ~DepthGuard() { --parser_.depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  Parser& parser_;
  bool ok_;
};

}  // namespace coffer::policy::internal
