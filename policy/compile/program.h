// What a policy is compiled to: a tree of rules, each with a function for a register machine.
//
// A rule's function holds all its definitions, one after the other. Conditions that fail jump to a
// label known at compile time: the next step of the innermost loop around them, or the next
// definition. Nothing is searched for at run time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/builtins/registry.h"
#include "policy/syntax/source.h"
#include "policy/value/value.h"

namespace coffer::policy {

// Registers are numbered from 0; ~n (negative) is constant n of the function.
using Operand = std::int32_t;

enum class Op : std::uint8_t {
  kMove,         // a <- b
  kClear,        // a <- undefined
  kJump,         // to target
  kJumpDefined,  // to target when a is defined
  kFail,         // to target: a condition that can never hold
  kInput,        // a <- input, or fail
  kData,         // a <- base document, or fail
  kGet,          // a <- b[c], or fail
  kGetBase,      // as kGet in base documents, whose keys may be numbers written as text
  kGetPath,      // a <- b[path], path = list of operands (c: first, d: count), or fail
  kCursor,       // a <- cursor on node
  kGetAny,       // as kGet; b may be a cursor
  kExtent,       // a <- b; a cursor becomes the document under it, or fail
  kRule,         // a <- value of node, or fail
  kCall,         // a <- node(list), or fail
  kBuiltin,      // a <- builtin(list), or fail
  kIter,         // starts a loop over a; b, b+1 are its state; fails when it is no collection
  kNext,         // b: state; c <- key, d <- value (-1: not wanted), to target at the end
  kIterAny,      // as kIter; a may be a cursor; three registers of state
  kNextAny,
  kTrue,   // fails when a is false
  kEqual,  // fails unless a == b
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kMember,  // fails unless a in b
  kArray,   // a <- [list]
  kSet,
  kObject,
  kIsArray,     // fails unless a is an array of b elements
  kIsObject,    // fails unless a is an object of b entries
  kBegin,       // starts collecting
  kAppend,      // collects a
  kAppendPair,  // collects a: b
  kEndArray,    // a <- what was collected
  kEndSet,
  kEndObject,    // conflict when a key has two values
  kResult,       // a <- b, conflict when a holds another value
  kPathBegin,    // starts an object made of paths
  kPathValue,    // puts b at path list (c, d); conflict unless equal or new
  kPathSet,      // adds b to the set at path list
  kPathDefault,  // puts b at path list when nothing is there
  kPathEnd,      // a <- the object
  kReturn,       // returns a
  kReturnUndefined,
  kWith,       // enters a modified world: a = index into withs
  kEndWith,    // leaves it
  kSkipPrint,  // to target unless somebody wants print output
  kPrint,      // list: arrays of values, one an operand
  kTemplate,   // a <- text of list; undefined parts as <undefined>
  kRow,        // a row of a query's result: list = values of its variables and expressions
};

struct RuleNode;

struct Instr {
  Op op = Op::kMove;
  Operand a = 0;
  Operand b = 0;
  Operand c = 0;
  Operand d = 0;
  std::uint32_t target = 0;  // where to go on failure, or to jump to
  union {
    RuleNode* node;
    const Builtin* builtin;
  };
  Instr() : node(nullptr) {}
};

// One `with TARGET as VALUE`.
struct WithTarget {
  enum class Kind : std::uint8_t { kInput, kData, kFunction, kBuiltin };
  Kind kind = Kind::kInput;
  std::vector<Value> path;  // below input or data
  RuleNode* hides = nullptr;
  RuleNode* function = nullptr;  // the mocked one
  const Builtin* builtin = nullptr;
  // Replacement: a value in a register, or a function.
  Operand value = 0;
  RuleNode* by_function = nullptr;
  const Builtin* by_builtin = nullptr;
};

// Where a definition's code stands, for explanations.
struct Definition {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  Location loc;
  bool is_else = false;
};

struct Function {
  std::string name;  // "data.agent_policy.allow_env"
  std::vector<Instr> code;
  std::vector<Location> locations;  // one an instruction
  std::vector<Value> constants;
  std::vector<Operand> lists;
  std::vector<std::vector<WithTarget>> withs;
  std::vector<Definition> definitions;
  // Where a condition that fails does not fail the rule: in `not`, comprehensions, print.
  struct Range {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  std::vector<Range> aside;
  // Rules that references with variables in them may reach.
  std::vector<const RuleNode*> dynamic;
  std::uint32_t registers = 0;
  std::uint32_t arity = 0;
  bool is_function = false;
};

enum class RuleKind : std::uint8_t {
  kInner,  // a package or a step on the way to rules
  kComplete,
  kPartialSet,
  kPartialObject,  // takes in everything below
  kFunction,
};

struct RuleNode {
  Value key;
  RuleNode* parent = nullptr;
  std::map<Value, std::unique_ptr<RuleNode>> children;
  RuleKind kind = RuleKind::kInner;
  std::uint32_t slot = 0;  // of the result cache
  std::uint32_t arity = 0;
  Location loc;
  // A complete rule of one constant: its value, no code.
  Value constant;
  std::unique_ptr<Function> function;
  // A function of the policy that memoises.
  bool memoise = false;

  [[nodiscard]] std::string path() const;
};

}  // namespace coffer::policy
