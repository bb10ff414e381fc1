// Which rules there are: the tree of packages and rule names over all modules.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/compile/program.h"
#include "policy/syntax/ast.h"

namespace coffer::policy {

// One definition of a rule: where it was written and what of its head is not ground.
struct RuleSource {
  Module* module = nullptr;
  Rule* rule = nullptr;
  std::vector<Term*> path;  // steps below the node
};

// The steps of one rule of a chain of `else`: each has its own copy of the head, with its own
// variables.
std::vector<Term*> path_of(const RuleSource& source, const Rule& rule);

struct RuleTree {
  RuleNode* root = nullptr;  // `data`
  std::unordered_map<RuleNode*, std::vector<RuleSource>> sources;
  // In the order of the modules, for stable numbering and errors.
  std::vector<RuleNode*> order;
  // Functions of the program that embeds the engine.
  std::span<const Builtin> host_functions;
  // First names of the rules of each package ("a.b").
  std::unordered_map<std::string, std::set<std::string>> names;
};

// Adds the modules' rules to `root` and decides what each node is; conflicts become diagnostics.
[[nodiscard]] RuleTree build_tree(RuleNode& root, const std::vector<Module*>& modules,
                                  std::vector<Diagnostic>& errors);

[[nodiscard]] std::string package_key(const Module& module);

}  // namespace coffer::policy
