#include "policy/engine.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <chrono>

namespace coffer::policy {
namespace {

Result<Value> merge(const Value& a, const Value& b, const std::string& path) {
  if (!a.is_object() || !b.is_object()) {
    if (a == b) return a;
    return fail(Code::kAlreadyExists, "add data: two documents disagree at '" + path + "'");
  }
  ObjectBuilder out;
  for (const Entry& entry : a.entries()) {
    const Value* other = b.find(entry.key);
    if (other == nullptr) {
      out.add(entry.key, entry.value);
      continue;
    }
    COFFER_TRY(Value inner, merge(entry.value, *other, path + "/" + to_display(entry.key)));
    out.add(entry.key, std::move(inner));
  }
  for (const Entry& entry : b.entries())
    if (a.find(entry.key) == nullptr) out.add(entry.key, entry.value);
  return out.build();
}

}  // namespace

const RuleNode* Policy::find(std::string_view path) const {
  if (path != "data" && !path.starts_with("data.")) return nullptr;
  const RuleNode* node = &program_->root;
  std::string_view rest = path.substr(4);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find('.'), rest.size());
    const auto child = node->children.find(Value::string(rest.substr(0, end)));
    if (child == node->children.end()) return nullptr;
    node = child->second.get();
    rest = rest.substr(end);
  }
  return node;
}

Status Engine::add_module(std::string name, std::string text) {
  return add_module(std::move(name), std::move(text), options_.version);
}

Status Engine::add_module(std::string name, std::string text, RegoVersion version) {
  COFFER_TRY(auto module, parse_module(std::move(name), std::move(text),
                                       {.version = version,
                                        .experimental_keywords = options_.experimental_keywords}));
  modules_.push_back(std::move(module));
  return {};
}

Status Engine::add_data(const Value& document) {
  if (!document.is_object())
    return fail(Code::kInvalidArgument,
                fmt::format("add data: must be an object, got {}", type_name(document.type())));
  COFFER_TRY(data_, merge(data_, document, ""));
  return {};
}

Result<std::shared_ptr<Policy>> Engine::compile() {
  COFFER_TRY(auto program,
             compile_modules(std::move(modules_), {.optimise = options_.optimise,
                                                   .host_functions = options_.host_functions}));
  modules_.clear();
  return std::make_shared<Policy>(std::move(program));
}

Evaluator::Evaluator(std::shared_ptr<Policy> policy)
    : policy_(std::move(policy)), machine_(policy_->program(), context_) {
  context_.regex = &regex_;
  context_.now_ns = [] {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  context_.random = [](std::span<std::uint8_t> out) {
    check(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1, "RAND_bytes failed");
  };
}

Result<CompiledQuery> Evaluator::prepare(std::string text, const ParseOptions& options) {
  COFFER_TRY(auto module, parse_query("query", std::move(text), options));
  return compile_query(policy_->program(), std::move(module));
}

Result<QueryResult> Evaluator::query(const CompiledQuery& query, const Value& data,
                                     const Value& input, const EvalOptions& options) {
  COFFER_TRY(auto rows, machine_.query(query, data, input, options));
  return QueryResult{query.variables, std::move(rows), query.expressions, query.locations};
}

Result<Value> Evaluator::rule(std::string_view path, const Value& data, const Value& input,
                              const EvalOptions& options) {
  const RuleNode* node = policy_->find(path);
  if (node == nullptr || node->kind == RuleKind::kFunction) return Value();
  return machine_.rule(*node, data, input, options);
}

Result<Value> Evaluator::rule(const RuleNode& node, const Value& data, const Value& input,
                              const EvalOptions& options) {
  return machine_.rule(node, data, input, options);
}

}  // namespace coffer::policy
