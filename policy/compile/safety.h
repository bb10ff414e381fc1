// Which variables a statement needs and which it binds: OPA's rules for reordering bodies.
#pragma once

#include <vector>

#include "policy/compile/resolve.h"
#include "policy/syntax/ast.h"

namespace coffer::policy {

using Bound = std::vector<bool>;  // by variable number

class Safety {
 public:
  explicit Safety(const Variables& variables) : variables_(variables) {}

  // Whether `term` can be evaluated; unbound variables at the steps of references count as bound
  // by it and are added to `outputs`.
  [[nodiscard]] bool can_evaluate(const Term* term, const Bound& bound,
                                  std::vector<int>* outputs = nullptr) const;
  // Whether a value can be matched against `pattern`, which binds its plain variables.
  [[nodiscard]] bool can_match(const Term* pattern, const Bound& bound,
                               std::vector<int>* outputs = nullptr) const;
  // Whether `a = b` can be executed.
  [[nodiscard]] bool can_unify(const Term* a, const Term* b, const Bound& bound,
                               std::vector<int>* outputs = nullptr) const;
  // Whether the statement can be executed; `outputs` receives what it binds.
  [[nodiscard]] bool can_execute(const Expr& expr, const Bound& bound,
                                 std::vector<int>* outputs = nullptr) const;
  // The order in which the statements can be executed. Those that never can are left out and their
  // unbound variables added to `unsafe`.
  [[nodiscard]] std::vector<const Expr*> order(const Body& body, Bound bound,
                                               std::vector<int>& unsafe) const;
  // Variables that `expr` uses and that are not bound.
  void unbound(const Expr& expr, const Bound& bound, std::vector<int>& out) const;
  // Unbound variables that stand at the top level of a statement or term, not inside closures.
  void top_level(const Expr& expr, const Bound& bound, std::vector<int>& out) const;
  void top_level(const Term* term, const Bound& bound, std::vector<int>& out) const;

 private:
  struct Needs {
    std::vector<int> inputs;
    std::vector<int> outputs;
  };
  void needs(const Term* term, Needs& out) const;
  void step_needs(const Term* step, Needs& out) const;
  void captured(const void* closure, Needs& out) const;
  void pattern_needs(const Term* pattern, Needs& out) const;
  [[nodiscard]] static bool satisfied(const Needs& needs, const Bound& bound);
  static void add_unbound(const std::vector<int>& vars, const Bound& bound,
                          std::vector<int>* outputs);
  [[nodiscard]] bool negation_ready(const Expr& expr, const Bound& bound) const;

  const Variables& variables_;
};

}  // namespace coffer::policy
