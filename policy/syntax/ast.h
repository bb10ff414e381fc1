// The syntax tree of a Rego module. All nodes of a module live in its Ast, which frees them one by
// one, never recursively.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "policy/syntax/source.h"
#include "policy/value/value.h"

namespace coffer::policy {

struct Body;
struct Builtin;
struct RuleNode;

inline constexpr int kUnresolved = -1;
inline constexpr int kDataVar = -2;
inline constexpr int kInputVar = -3;

enum class TermKind : std::uint8_t {
  kScalar,               // scalar
  kVar,                  // name ("_" is a fresh wildcard each time)
  kRef,                  // items[0] is the head (var, call, collection), the rest the steps
  kArray,                // items
  kSet,                  // items
  kObject,               // items: key, value, key, value, ...
  kArrayComprehension,   // items[0], body
  kSetComprehension,     // items[0], body
  kObjectComprehension,  // items[0] key, items[1] value, body
  kCall,                 // name of a builtin (operators), or callee; items are the arguments
  kTemplate,             // items: string parts and expressions in turn
};

struct Term {
  TermKind kind = TermKind::kScalar;
  Location loc;
  Value scalar;
  std::string name;
  std::vector<Term*> items;
  Body* body = nullptr;
  Term* callee = nullptr;  // kVar or kRef
  bool parenthesised = false;
  std::uint32_t depth = 0;  // of the tree below, bounded by the parser
  // For the compiler: the variable this kVar stands for (kUnresolved, kDataVar, kInputVar or a
  // number of its own), and what a kCall calls.
  int var = -1;
  const Builtin* builtin = nullptr;
  RuleNode* function = nullptr;
};

struct With {
  Term* target = nullptr;
  Term* value = nullptr;
  Location loc;
};

enum class ExprKind : std::uint8_t {
  kTerm,    // lhs
  kUnify,   // lhs = rhs
  kAssign,  // lhs := rhs
  kSome,    // some vars
  kSomeIn,  // some [key,] value in domain
  kEvery,   // every [key,] value in domain { body }
  kNot,     // not { body }: a negation with a scope of its own
  kAnd,     // operands
  kOr,      // operands
};

struct Expr {
  ExprKind kind = ExprKind::kTerm;
  Location loc;
  bool negated = false;  // classic negation: nested calls are evaluated before it
  bool generated = false;
  Term* lhs = nullptr;
  Term* rhs = nullptr;
  Term* key = nullptr;
  Term* value = nullptr;
  Term* domain = nullptr;
  std::vector<Term*> vars;
  Body* body = nullptr;
  std::vector<Body*> operands;
  std::vector<With> withs;
};

struct Body {
  std::vector<Expr*> exprs;
  Location loc;
  std::uint32_t depth = 0;
};

struct Import {
  Location loc;
  Term* path = nullptr;  // kRef or kVar
  std::string alias;     // as written or the last step
};

struct Rule {
  Location loc;
  bool is_default = false;
  bool is_function = false;
  bool is_else = false;
  // Reference of the head: items[0] is a kVar naming the rule.
  Term* ref = nullptr;
  std::vector<Term*> args;
  Term* key = nullptr;    // `contains` term, or v0's partial set element
  Term* value = nullptr;  // nullptr: true
  bool assigned = false;  // value given with := rather than =
  Body* body = nullptr;   // nullptr: always
  Rule* else_rule = nullptr;
};

enum class RegoVersion : std::uint8_t { kV0, kV1 };

struct Module {
  SourcePtr source;
  RegoVersion version = RegoVersion::kV1;  // as it behaves: a v0 module with `import rego.v1` is v1
  std::vector<std::string> package;        // without "data"
  Location package_loc;
  std::vector<Import> imports;
  std::vector<Rule*> rules;

  std::deque<Term> terms;
  std::deque<Expr> expr_pool;
  std::deque<Body> bodies;
  std::deque<Rule> rule_pool;

  [[nodiscard]] Term* new_term(TermKind kind, const Location& loc) {
    Term& term = terms.emplace_back();
    term.kind = kind;
    term.loc = loc;
    return &term;
  }
  [[nodiscard]] Expr* new_expr(ExprKind kind, const Location& loc) {
    Expr& expr = expr_pool.emplace_back();
    expr.kind = kind;
    expr.loc = loc;
    return &expr;
  }
  [[nodiscard]] Body* new_body(const Location& loc) {
    Body& body = bodies.emplace_back();
    body.loc = loc;
    return &body;
  }
};

// Deep copy inside one module: heads are shared by the bodies of chained and else rules.
[[nodiscard]] Term* clone(Module& module, const Term* term);
[[nodiscard]] Body* clone(Module& module, const Body* body);
[[nodiscard]] Expr* clone(Module& module, const Expr* expr);

}  // namespace coffer::policy
