// The policy engine: Rego modules in, answers out.
//
//   Engine engine;
//   COFFER_TRY_VOID(engine.add_module("policy.rego", text));
//   COFFER_TRY(auto policy, engine.compile());
//   Evaluator evaluator(policy);
//   COFFER_TRY(Value answer, evaluator.rule("data.agent_policy.CopyFileRequest", data, input));
//
// A Policy is immutable once compiled; a state change is a new `data` Value that shares all but the
// changed path. A policy, its evaluators and all their values belong to one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "policy/compile/compiler.h"
#include "policy/eval/machine.h"
#include "policy/syntax/parser.h"
#include "policy/value/value.h"

namespace coffer::policy {

struct EngineOptions {
  RegoVersion version = RegoVersion::kV1;
  bool experimental_keywords = false;
  bool optimise = true;
  // Functions that a policy may call beside OPA's: they get BuiltinContext::host of the evaluator.
  // Must outlive what is compiled.
  std::span<const Builtin> host_functions = {};
};

class Policy {
 public:
  explicit Policy(std::unique_ptr<Program> program) : program_(std::move(program)) {}
  [[nodiscard]] const Program& program() const { return *program_; }
  [[nodiscard]] Program& program() { return *program_; }
  // "data.a.b" to its node; nullptr when no rule or package is there.
  [[nodiscard]] const RuleNode* find(std::string_view path) const;

 private:
  std::unique_ptr<Program> program_;
};

class Engine {
 public:
  explicit Engine(EngineOptions options = {}) : options_(options) {}

  // Parses; errors carry file, line, column and a caret.
  [[nodiscard]] Status add_module(std::string name, std::string text);
  [[nodiscard]] Status add_module(std::string name, std::string text, RegoVersion version);
  // A base document, merged into what was added before; kAlreadyExists where two disagree.
  [[nodiscard]] Status add_data(const Value& document);
  [[nodiscard]] const Value& data() const { return data_; }

  // Uses up the modules. shared_ptr: evaluators and prepared queries keep the policy alive.
  [[nodiscard]] Result<std::shared_ptr<Policy>> compile();

 private:
  struct Source {
    std::string name;
    std::string text;
    RegoVersion version;
  };
  EngineOptions options_;
  std::vector<std::unique_ptr<Module>> modules_;
  Value data_ = Value::empty_object();
};

// A query's answer as OPA gives it.
struct QueryResult {
  std::vector<std::string> variables;
  std::vector<Row> rows;
  std::vector<std::string> expressions;  // their texts
  std::vector<Location> locations;
};

// Evaluates one policy, reusing its stacks and caches from request to request.
class Evaluator {
 public:
  explicit Evaluator(std::shared_ptr<Policy> policy);

  // kInvalidArgument when the query does not compile.
  [[nodiscard]] Result<CompiledQuery> prepare(std::string text, const ParseOptions& options = {});
  [[nodiscard]] Result<QueryResult> query(const CompiledQuery& query, const Value& data,
                                          const Value& input, const EvalOptions& options = {});
  // Undefined when the rule is, or when there is none of that path.
  [[nodiscard]] Result<Value> rule(std::string_view path, const Value& data, const Value& input,
                                   const EvalOptions& options = {});
  [[nodiscard]] Result<Value> rule(const RuleNode& node, const Value& data, const Value& input,
                                   const EvalOptions& options = {});
  [[nodiscard]] BuiltinContext& context() { return context_; }
  [[nodiscard]] std::uint64_t steps() const { return machine_.steps(); }

 private:
  std::shared_ptr<Policy> policy_;
  BuiltinContext::RegexCache regex_;
  BuiltinContext context_;
  Machine machine_;
};

}  // namespace coffer::policy
