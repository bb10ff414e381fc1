// The register machine that runs compiled rules.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "policy/compile/compiler.h"
#include "policy/compile/program.h"

namespace coffer::policy {

// Each ends the query with kResourceExhausted (kDeadlineExceeded for time).
struct Limits {
  std::uint64_t max_steps = 50'000'000;
  std::chrono::nanoseconds max_time = std::chrono::seconds(10);
  std::uint32_t max_depth = 512;                     // calls of rules and functions
  std::size_t max_memory = std::size_t{256} << 20U;  // made by the query
  std::size_t max_print = std::size_t{1} << 20U;     // bytes of print output
};

// Receives what `print` prints. Lines are complete and without a newline.
class PrintSink {
 public:
  virtual ~PrintSink() = default;
  virtual void print(const Location& where, std::string_view line) = 0;
};

// Watches an evaluation. `pc` is the place in the function's code.
class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual void enter(const Function& function, std::span<const Value> args) = 0;
  // Undefined when the rule is.
  virtual void leave(const Function& function, const Value& result) = 0;
  // A condition did not hold; a and b are its operands as far as they are defined.
  virtual void failed(const Function& function, std::uint32_t pc, const Value& a,
                      const Value& b) = 0;
};

struct EvalOptions {
  Limits limits;
  bool strict_builtin_errors = false;
  PrintSink* print = nullptr;  // nullptr: print is not evaluated
  Tracer* tracer = nullptr;
};

struct Row {
  std::vector<Value> values;  // variables, then expressions
  std::size_t variables = 0;
};

class Machine {
 public:
  // The program and the context must outlive the machine. One query at a time.
  Machine(const Program& program, BuiltinContext& context);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Value of a rule; undefined when it is. Errors: "place: eval_conflict_error: ...".
  [[nodiscard]] Result<Value> rule(const RuleNode& node, const Value& data, const Value& input,
                                   const EvalOptions& options);
  [[nodiscard]] Result<std::vector<Row>> query(const CompiledQuery& query, const Value& data,
                                               const Value& input, const EvalOptions& options);
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  struct World;
  struct PathNode;
  struct Mock;
  class Frame;

  void start(const Value& data, const Value& input, const EvalOptions& options);
  void finish();
  [[nodiscard]] bool run(const Function& fn, Value* registers, Value& out);
  [[nodiscard]] bool step_check();
  [[nodiscard]] bool rule_value(const RuleNode& node, Value& out);
  [[nodiscard]] bool call_function(const RuleNode& node, std::span<const Value> args, Value& out);
  [[nodiscard]] bool call_builtin(const Builtin& builtin, std::span<const Value> args,
                                  const Location& loc, Value& out);
  [[nodiscard]] bool call_mock(const Mock& mock, std::span<const Value> args, const Location& loc,
                               Value& out);
  [[nodiscard]] const Mock* find_mock(const RuleNode* function, const Builtin* builtin) const;
  [[nodiscard]] bool is_hidden(const RuleNode& node) const;
  [[nodiscard]] const Value* base_at(const RuleNode& node) const;
  [[nodiscard]] bool extent(const Value& value, Value& out);
  [[nodiscard]] bool node_extent(const RuleNode& node, const Value* base, Value& out);
  [[nodiscard]] bool cursor_get(const Value& cursor, const Value& key, Value& out);
  [[nodiscard]] Value cursor_keys(const Value& cursor) const;
  [[nodiscard]] Value make_cursor(const RuleNode& node) const;
  [[nodiscard]] bool enter_world(const std::vector<WithTarget>& targets, const Function& fn,
                                 const Value* registers, const Location& loc);
  void leave_world();
  [[nodiscard]] bool path_insert(Op op, const std::vector<Value>& path, const Value& value,
                                 const Location& loc);
  [[nodiscard]] static Value path_value(const PathNode& node);
  void print(const Function& fn, const Instr& instr, const Value* registers, const Location& loc);
  bool error(const Location& loc, std::string_view code, std::string message,
             Code kind = Code::kFailedPrecondition);
  bool limit(std::string message, Code kind = Code::kResourceExhausted);
  [[nodiscard]] Value* allocate(std::size_t count);
  void release(Value* frame, std::size_t count);
  void trace_failure(const Function& fn, const Instr& instr, const Value* registers);

  const Program& program_;
  BuiltinContext& context_;
  EvalOptions options_;
  std::vector<std::unique_ptr<World>> worlds_;
  std::size_t world_count_ = 0;
  World* world_ = nullptr;
  struct Chunk {
    std::unique_ptr<Value[]> values;
    std::size_t size = 0;
    std::size_t used = 0;
  };
  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0;
  std::vector<std::vector<Value>> collectors_;
  std::size_t collector_count_ = 0;
  std::vector<std::unique_ptr<PathNode>> paths_;
  std::unordered_map<Value, Value, ValueHash> nondeterministic_;
  std::vector<Row>* rows_ = nullptr;
  Error error_{Code::kOk, ""};
  std::uint64_t steps_ = 0;
  std::uint64_t next_check_ = 0;
  std::uint32_t depth_ = 0;
  std::uint32_t generation_ = 0;
  std::size_t memory_at_start_ = 0;
  std::size_t printed_ = 0;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace coffer::policy
