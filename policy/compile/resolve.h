// Gives every name its meaning: a variable of its scope, a rule, an import, a builtin. Literals
// without variables become constants.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "policy/compile/tree.h"
#include "policy/syntax/ast.h"

namespace coffer::policy {

struct Variable {
  std::string name;
  Location loc;
  bool wildcard = false;
  bool declared = false;
  bool argument = false;
  // How many closures around it own it; 0: the rule itself.
  std::size_t level = 0;
};

// The variables of one definition.
struct Variables {
  std::vector<Variable> list;
  // Variables of enclosing scopes that a closure uses: by comprehension Term, by `every` or `not`
  // Expr, or by the Body of an operand.
  std::unordered_map<const void*, std::vector<int>> captured;
};

// Resolves one definition in place.
void resolve_rule(const RuleTree& tree, Module& module, Rule& rule, std::vector<Term*>& path,
                  Variables& variables, std::vector<Diagnostic>& errors);

// How many arguments what a resolved kCall calls takes.
[[nodiscard]] std::size_t call_arity(const Term& call);

// Whether the tree's node for a resolved ground reference exists; nullptr otherwise.
[[nodiscard]] RuleNode* find_node(RuleNode* root, const Term* ref, std::size_t& used);

}  // namespace coffer::policy
