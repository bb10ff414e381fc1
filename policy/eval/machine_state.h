// Parts of the machine that its .cc files share.
#pragma once

#include <map>
#include <vector>

#include "policy/eval/machine.h"

namespace coffer::policy {

struct Machine::Mock {
  const RuleNode* function = nullptr;  // what is replaced
  const Builtin* builtin = nullptr;
  Value value;  // the replacement, unless it is a function
  const RuleNode* by_function = nullptr;
  const Builtin* by_builtin = nullptr;
};

// What a query sees. `with` makes a new one; results are remembered per world.
struct Machine::World {
  Value input;
  Value data;
  std::vector<const RuleNode*> hidden;
  std::vector<Mock> mocks;
  struct Cached {
    Value value;
    std::uint32_t generation = 0;
  };
  std::vector<Cached> cache;
  // Results of functions, by the arguments in an array.
  std::unordered_map<const RuleNode*, std::unordered_map<Value, Value, ValueHash>> calls;
};

// An object under construction from paths.
struct Machine::PathNode {
  std::map<Value, std::unique_ptr<PathNode>> children;
  std::vector<Value> members;
  Value leaf;
  bool is_set = false;
};

// A place in the tree of rules, met when a reference goes through it with a variable.
struct CursorRep : detail::OpaqueRep {
  const RuleNode* node = nullptr;
  Value base;  // the base document there; may be undefined
};

[[nodiscard]] inline const CursorRep* cursor_of(const Value& value) {
  return value.is_opaque() ? static_cast<const CursorRep*>(value.opaque_rep()) : nullptr;
}

}  // namespace coffer::policy
