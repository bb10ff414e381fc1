#include "policy/compile/compiler.h"

#include <algorithm>
#include <unordered_set>

#include "policy/compile/emitter.h"
#include "policy/compile/resolve.h"
#include "policy/compile/tree.h"

namespace coffer::policy {
namespace {

using VariablesOf = std::unordered_map<const Rule*, Variables>;

// Everything that a function refers to.
void dependencies(const Function& function, std::vector<const RuleNode*>& out) {
  for (const Instr& instr : function.code) {
    if (instr.op == Op::kRule || instr.op == Op::kCall) out.push_back(instr.node);
  }
  out.insert(out.end(), function.dynamic.begin(), function.dynamic.end());
  for (const auto& targets : function.withs)
    for (const WithTarget& target : targets)
      if (target.by_function != nullptr) out.push_back(target.by_function);
}

// Depth first with a stack of our own: policies may be long chains.
class RecursionCheck {
 public:
  explicit RecursionCheck(std::vector<Diagnostic>& errors) : errors_(errors) {}

  void from(const RuleNode* start) {
    if (state_[start] != 0) return;
    push(start);
    while (!stack_.empty()) {
      Frame& top = stack_.back();
      if (top.next == top.edges.size()) {
        state_[top.node] = 2;
        stack_.pop_back();
        continue;
      }
      const RuleNode* next = top.edges[top.next++];
      if (state_[next] == 1) {
        report(next);
      } else if (state_[next] == 0 && next->function != nullptr) {
        push(next);
      }
    }
  }

 private:
  struct Frame {
    const RuleNode* node;
    std::vector<const RuleNode*> edges;
    std::size_t next;
  };

  void push(const RuleNode* node) {
    state_[node] = 1;
    Frame frame{node, {}, 0};
    if (node->function != nullptr) dependencies(*node->function, frame.edges);
    std::sort(frame.edges.begin(), frame.edges.end());
    frame.edges.erase(std::unique(frame.edges.begin(), frame.edges.end()), frame.edges.end());
    stack_.push_back(std::move(frame));
  }

  void report(const RuleNode* node) {
    const std::string path = node->path();
    auto at = std::find_if(stack_.begin(), stack_.end(),
                           [node](const Frame& f) { return f.node == node; });
    std::string chain;
    std::size_t shown = 0;
    for (; at != stack_.end() && ++shown < 20; ++at) chain += at->node->path() + " -> ";
    errors_.push_back(
        {"rego_recursion_error", node->loc, "rule " + path + " is recursive: " + chain + path});
  }

  std::vector<Diagnostic>& errors_;
  std::unordered_map<const RuleNode*, int> state_;
  std::vector<Frame> stack_;
};

class ModuleCompiler {
 public:
  ModuleCompiler(std::vector<std::unique_ptr<Module>> modules, const CompilerOptions& options)
      : modules_(std::move(modules)), options_(options), program_(std::make_unique<Program>()) {}

  Result<std::unique_ptr<Program>> run() {
    std::vector<Module*> list;
    for (const auto& module : modules_) {
      list.push_back(module.get());
      program_->sources.push_back(module->source);
      check_imports(*module);
    }
    tree_ = build_tree(program_->root, list, errors_);
    tree_.host_functions = options_.host_functions;
    if (!errors_.empty()) return fail(diagnostics_error(errors_));
    for (RuleNode* node : tree_.order) resolve(node);
    if (!errors_.empty()) return fail(diagnostics_error(errors_));
    const bool fold =
        options_.optimise &&
        std::none_of(list.begin(), list.end(), [](const Module* m) { return replaces_data(*m); });
    for (RuleNode* node : tree_.order) {
      node->slot = program_->slots++;
      if (fold) find_constant(*node);
    }
    for (RuleNode* node : tree_.order) {
      node->function = std::make_unique<Function>();
      Emitter(&program_->root, *node->function, {.optimise = options_.optimise}, errors_)
          .rule(*node, tree_.sources[node], variables_);
    }
    if (!errors_.empty()) return fail(diagnostics_error(errors_));
    RecursionCheck recursion(errors_);
    for (const RuleNode* node : tree_.order) recursion.from(node);
    if (!errors_.empty()) return fail(diagnostics_error(errors_));
    return std::move(program_);
  }

 private:
  void error(const Location& loc, std::string message, std::string code = "rego_compile_error") {
    errors_.push_back({std::move(code), loc, std::move(message)});
  }

  void check_imports(const Module& module) {
    if (module.version != RegoVersion::kV1) return;
    for (const Rule* rule : module.rules) {
      const std::string& name = rule->ref->items.front()->name;
      if (name == "input" || name == "data")
        error(rule->loc, "rules must not shadow " + name + " (use a different rule name)");
    }
    std::unordered_set<std::string> seen;
    for (const Import& import : module.imports)
      if (!seen.insert(import.alias).second)
        error(import.loc, "import must not shadow import " + import.alias);
  }

  void check_default(const Rule& rule) {
    if (!rule.is_default) return;
    for (const Term* arg : rule.args)
      if (arg->kind != TermKind::kVar)
        error(arg->loc, "invalid rule head: default rule arguments must be variables",
              "rego_parse_error");
    std::vector<const Term*> pending = {rule.value};
    while (!pending.empty()) {
      const Term* term = pending.back();
      pending.pop_back();
      const bool compr = term->kind == TermKind::kArrayComprehension ||
                         term->kind == TermKind::kSetComprehension ||
                         term->kind == TermKind::kObjectComprehension;
      if (compr) continue;
      if (term->kind == TermKind::kVar || term->kind == TermKind::kRef ||
          term->kind == TermKind::kCall || term->kind == TermKind::kTemplate)
        error(term->loc, "illegal default rule (value cannot contain ref, var or call)",
              "rego_parse_error");
      for (const Term* item : term->items) pending.push_back(item);
    }
  }

  void resolve(RuleNode* node) {
    for (RuleSource& source : tree_.sources[node]) {
      check_default(*source.rule);
      for (Rule* rule = source.rule; rule != nullptr; rule = rule->else_rule) {
        std::vector<Term*> own = path_of(source, *rule);
        std::vector<Term*>& path = rule == source.rule ? source.path : own;
        resolve_rule(tree_, *source.module, *rule, path, variables_[rule], errors_);
        if (rule != source.rule) std::ranges::copy(own, rule->ref->items.end() - std::ssize(own));
      }
    }
  }

  void find_constant(RuleNode& node) {
    if (node.kind != RuleKind::kComplete) return;
    const auto& sources = tree_.sources[&node];
    if (sources.size() != 1) return;
    const Rule& rule = *sources.front().rule;
    if (rule.body != nullptr || rule.else_rule != nullptr || rule.value == nullptr) return;
    if (rule.value->kind != TermKind::kScalar) return;
    node.constant = rule.value->scalar;
  }

  std::vector<std::unique_ptr<Module>> modules_;
  CompilerOptions options_;
  std::unique_ptr<Program> program_;
  RuleTree tree_;
  VariablesOf variables_;
  std::vector<Diagnostic> errors_;
};

}  // namespace

bool replaces_data(const Module& module) {
  // Also an import's name or a rule's can lead to data: only `input` and builtins surely do not.
  return std::any_of(module.expr_pool.begin(), module.expr_pool.end(), [](const Expr& expr) {
    return std::any_of(expr.withs.begin(), expr.withs.end(), [](const With& with) {
      const Term* head =
          with.target->kind == TermKind::kRef ? with.target->items.front() : with.target;
      return head->kind != TermKind::kVar || head->name != "input";
    });
  });
}

Result<std::unique_ptr<Program>> compile_modules(std::vector<std::unique_ptr<Module>> modules,
                                                 const CompilerOptions& options) {
  return ModuleCompiler(std::move(modules), options).run();
}

Result<CompiledQuery> compile_query(Program& program, std::unique_ptr<Module> query,
                                    const CompilerOptions& options) {
  CompiledQuery out;
  out.source = query->source;
  out.replaces_data = replaces_data(*query);
  RuleTree tree;
  tree.root = &program.root;
  std::vector<Diagnostic> errors;
  Variables variables;
  Rule& rule = *query->rules.front();
  for (const Expr* expr : rule.body->exprs) {
    if (expr->kind == ExprKind::kSome) continue;
    out.locations.push_back(expr->loc);
  }
  std::vector<Term*> path;
  resolve_rule(tree, *query, rule, path, variables, errors);
  if (errors.empty())
    Emitter(&program.root, out.function, {.optimise = options.optimise}, errors)
        .query(*rule.body, variables, out.variables);
  if (!errors.empty()) return fail(diagnostics_error(errors));
  return out;
}

}  // namespace coffer::policy
