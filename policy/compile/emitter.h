// Turns resolved definitions into code for the register machine.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "policy/compile/program.h"
#include "policy/compile/safety.h"
#include "policy/compile/tree.h"

namespace coffer::policy {

struct EmitOptions {
  // Off: constants are not folded across rules, results not returned early; for comparing.
  bool optimise = true;
};

class Emitter {
 public:
  Emitter(RuleNode* root, Function& function, const EmitOptions& options,
          std::vector<Diagnostic>& errors)
      : root_(root), fn_(function), options_(options), errors_(errors) {}

  // One function for all definitions of `node`. `variables` has one entry per definition, in the
  // order in which for_each_definition visits them.
  void rule(RuleNode& node, const std::vector<RuleSource>& sources,
            const std::unordered_map<const Rule*, Variables>& variables);
  // A query; `names` receives the variables whose values lead each row, `expressions` how many
  // expression values follow.
  void query(const Body& body, const Variables& variables, std::vector<std::string>& names);

 private:
  using Label = std::uint32_t;
  class ClosureScope;

  // Code (emit_rule.cc).
  Instr& emit(Op op, Operand a = 0, Operand b = 0, Operand c = 0, Operand d = 0);
  Instr& emit_failing(Op op, Operand a = 0, Operand b = 0, Operand c = 0, Operand d = 0);
  void jump(Label label);
  Label new_label();
  void bind(Label label);
  void link();
  // The code from `begin` to here is aside (Function::aside).
  void aside_from(std::size_t begin) {
    fn_.aside.push_back(
        {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(fn_.code.size())});
  }
  Operand constant(const Value& value);
  [[nodiscard]] static bool is_constant(Operand operand) { return operand < 0; }
  [[nodiscard]] const Value& constant_value(Operand operand) const {
    return fn_.constants[static_cast<std::size_t>(~operand)];
  }
  Operand list(const std::vector<Operand>& operands);
  Operand new_register(int count = 1);
  void unsafe(const std::vector<int>& variables);
  void error(const Location& loc, std::string message, std::string code = "rego_compile_error");

  // Rules (emit_rule.cc).
  struct Part;
  void begin_definition(const Rule& rule, const Variables& variables);
  void complete_rule(const std::vector<RuleSource>& sources);
  void partial_set(const std::vector<RuleSource>& sources);
  void partial_object(const std::vector<RuleSource>& sources);
  void definition(const Rule& rule, Operand result);
  void else_chain(const Rule& rule, Operand result);
  void one_body(const Rule& rule, Operand result, Label end);
  void path_definition(const RuleSource& source);
  bool arguments(const Rule& rule, std::vector<std::pair<const Term*, Operand>>& later);
  void default_value(const std::vector<RuleSource>& sources, Operand result);
  void find_uniform(const std::vector<RuleSource>& sources);
  void end_definition();

  // Statements (emit_body.cc).
  void body(const Body& body);
  void statement(const Expr& expr);
  void plain_statement(const Expr& expr);
  void with_statement(const Expr& expr);
  bool with_target(const With& with, WithTarget& out);
  void collected(const Expr& expr, const std::vector<int>& outputs, Label unwind, Label outer);
  [[nodiscard]] bool may_loop(const Expr& expr) const;
  void condition(const Term* term);
  void negated(const Expr& expr);
  void lift(const Term* term, bool top);
  void some_in(const Expr& expr);
  void every(const Expr& expr);
  void not_body(const Expr& expr);
  void and_or(const Expr& expr);
  void print(const Term* call);
  void reserve_variables(const Expr& expr);
  void reserve(const std::vector<int>& variables);

  // Unification (emit_unify.cc).
  void unify(const Term* a, const Term* b);
  void match(const Term* pattern, Operand value);
  void match_items(const Term* pattern, Operand value);
  void bind_variable(int variable, Operand value);

  // Terms (emit_term.cc). The operand is `into` when that is given.
  Operand evaluate(const Term* term, Operand into = kNowhere);
  Operand place(Operand value, Operand into);
  std::vector<Operand> evaluate_all(const std::vector<Term*>& items, std::size_t count);
  Operand reference(const Term* term, Operand into);
  Operand data_reference(const Term* term, Operand into);
  void may_reach(const RuleNode& node, const Term* ref, std::size_t step);
  Operand steps(const Term* term, std::size_t from, Operand value, bool cursor, Operand into);
  Operand loop_step(const Term* step, Operand value, bool& cursor, Operand into);
  Operand call(const Term* term, std::size_t arity, Operand into);
  Operand comprehension(const Term* term, Operand into);
  Operand template_string(const Term* term, Operand into);
  void start_loop(Operand collection, bool cursor, Operand key, Operand value);
  [[nodiscard]] bool is_bound(int variable) const {
    return bound_[static_cast<std::size_t>(variable)];
  }
  [[nodiscard]] Operand register_of(int variable) const {
    return var_registers_[static_cast<std::size_t>(variable)];
  }

  static constexpr Operand kNowhere = INT32_MIN;

  RuleNode* root_;
  Function& fn_;
  EmitOptions options_;
  std::vector<Diagnostic>& errors_;
  const std::unordered_map<const Rule*, Variables>* all_variables_ = nullptr;
  const Variables* variables_ = nullptr;
  Bound bound_;
  std::vector<Operand> var_registers_;
  std::unordered_map<const Term*, Operand> premade_;
  std::unordered_map<std::string, Operand> string_constants_;
  std::vector<std::uint32_t> labels_;
  std::vector<std::uint32_t> fixups_;
  Location loc_;
  Label fail_ = 0;
  Operand next_register_ = 0;
  std::uint32_t loops_ = 0;
  // All definitions give this one value: the first success decides.
  Value uniform_;
};

}  // namespace coffer::policy
