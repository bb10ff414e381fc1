#include "policy/compile/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace coffer::policy {
namespace {

// What waits until all names of the scope around it are known.
struct Closure {
  Term* comprehension = nullptr;
  Expr* expr = nullptr;  // every, not
  Body* body = nullptr;  // operand of and, or
};

class Resolver {
 public:
  Resolver(const RuleTree& tree, Module& module, Variables& variables,
           std::vector<Diagnostic>& errors)
      : tree_(tree), module_(module), variables_(variables), errors_(errors) {
    const auto found = tree.names.find(package_key(module));
    if (found != tree.names.end()) names_ = &found->second;
    for (const Import& import : module.imports) imports_[import.alias] = import.path;
  }

  void rule(Rule& rule, std::vector<Term*>& path) {
    push_scope(nullptr);
    for (Term*& arg : rule.args) {
      declare_pattern(arg, true);
      term(arg);
    }
    if (rule.body != nullptr) statements(*rule.body);
    for (Term*& step : path) term(step);
    if (rule.key != nullptr) term(rule.key);
    if (rule.value != nullptr) term(rule.value);
    run_closures();
    pop_scope();
  }

 private:
  struct Scope {
    std::map<std::string, int> declared;
    std::map<std::string, int> implicit;
    std::vector<Closure> closures;
    const void* closure = nullptr;
  };

  void error(const Location& loc, std::string message, std::string code = "rego_compile_error") {
    errors_.push_back({std::move(code), loc, std::move(message)});
  }

  void push_scope(const void* closure) {
    scopes_.emplace_back();
    scopes_.back().closure = closure;
  }
  void pop_scope() { scopes_.pop_back(); }

  int new_variable(const std::string& name, const Location& loc, bool declared) {
    variables_.list.push_back({name, loc, name == "_", declared, false, scopes_.size() - 1});
    return static_cast<int>(variables_.list.size()) - 1;
  }

  int declare(const std::string& name, const Location& loc, bool argument = false) {
    if (name == "_") return new_variable(name, loc, true);
    if (module_.version == RegoVersion::kV1 && (name == "input" || name == "data"))
      error(loc, "variables must not shadow " + name + " (use a different variable name)");
    Scope& scope = scopes_.back();
    if (const auto found = scope.declared.find(name); found != scope.declared.end()) {
      if (argument) return found->second;
      const bool arg = variables_.list[static_cast<std::size_t>(found->second)].argument;
      error(loc,
            std::string(arg ? "arg " : "var ") + name + (arg ? " redeclared" : " assigned above"));
      return found->second;
    }
    if (scope.implicit.contains(name)) {
      error(loc, "var " + name + " referenced above");
      return scope.implicit[name];
    }
    const int id = new_variable(name, loc, true);
    variables_.list.back().argument = argument;
    scope.declared[name] = id;
    return id;
  }

  // Plain variables of a pattern become new variables of this scope.
  void declare_pattern(Term* pattern, bool argument = false) {
    switch (pattern->kind) {
      case TermKind::kVar:
        pattern->var = declare(pattern->name, pattern->loc, argument);
        return;
      case TermKind::kArray:
        for (Term* item : pattern->items) declare_pattern(item, argument);
        return;
      case TermKind::kObject:
        for (std::size_t i = 1; i < pattern->items.size(); i += 2)
          declare_pattern(pattern->items[i], argument);
        return;
      default:
        return;
    }
  }

  // A use of variable `id`: every closure between here and its owner captures it.
  void capture(int id) {
    const std::size_t level = variables_.list[static_cast<std::size_t>(id)].level;
    for (std::size_t i = scopes_.size() - 1; i > level; --i) {
      auto& list = variables_.captured[scopes_[i].closure];
      if (std::find(list.begin(), list.end(), id) == list.end()) list.push_back(id);
    }
  }

  [[nodiscard]] int lookup(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->declared.find(name); found != scope->declared.end())
        return found->second;
      if (const auto found = scope->implicit.find(name); found != scope->implicit.end())
        return found->second;
    }
    return kUnresolved;
  }

  [[nodiscard]] bool is_rule_name(const std::string& name) const {
    return names_ != nullptr && names_->contains(name);
  }

  Term* string_term(const std::string& text, const Location& loc) {
    Term* out = module_.new_term(TermKind::kScalar, loc);
    out->scalar = Value::string(text);
    return out;
  }

  // The reference that a global name stands for: data.<package>.<name> or an import's path.
  std::vector<Term*> global_path(const std::string& name, const Location& loc) {
    std::vector<Term*> out;
    if (is_rule_name(name)) {
      Term* root = module_.new_term(TermKind::kVar, loc);
      root->name = "data";
      root->var = kDataVar;
      out.push_back(root);
      for (const std::string& part : module_.package) out.push_back(string_term(part, loc));
      out.push_back(string_term(name, loc));
      return out;
    }
    const auto import = imports_.find(name);
    if (import == imports_.end()) return out;
    const Term* path = import->second;
    Term* root = module_.new_term(TermKind::kVar, loc);
    root->name = path->kind == TermKind::kVar ? path->name : path->items.front()->name;
    root->var = root->name == "data" ? kDataVar : kInputVar;
    out.push_back(root);
    if (path->kind == TermKind::kRef)
      for (std::size_t i = 1; i < path->items.size(); ++i)
        out.push_back(string_term(std::string(path->items[i]->scalar.as_string()), loc));
    return out;
  }

  void variable(Term* out) {
    if (out->var != kUnresolved) {
      if (out->var >= 0) capture(out->var);
      return;
    }
    if (out->name == "_") {
      out->var = new_variable("_", out->loc, false);
      return;
    }
    int id = lookup(out->name);
    if (id == kUnresolved) {
      if (const auto path = global_path(out->name, out->loc); !path.empty()) {
        if (path.size() == 1) {
          out->var = path.front()->var;
        } else {
          out->kind = TermKind::kRef;
          out->items = path;
        }
        return;
      }
      if (out->name == "data" || out->name == "input") {
        out->var = out->name == "data" ? kDataVar : kInputVar;
        return;
      }
      id = new_variable(out->name, out->loc, false);
      scopes_.back().implicit[out->name] = id;
    }
    out->var = id;
    capture(id);
  }

  void reference(Term* out) {
    Term* head = out->items.front();
    if (head->kind == TermKind::kVar && head->var == kUnresolved && head->name != "_" &&
        lookup(head->name) == kUnresolved) {
      std::vector<Term*> path = global_path(head->name, head->loc);
      if (!path.empty()) {
        path.insert(path.end(), out->items.begin() + 1, out->items.end());
        out->items = std::move(path);
      }
    }
    for (Term* item : out->items) term(item);
    // A reference whose head came out as a reference is one longer reference.
    head = out->items.front();
    if (head->kind == TermKind::kRef) {
      std::vector<Term*> path = head->items;
      path.insert(path.end(), out->items.begin() + 1, out->items.end());
      out->items = std::move(path);
    }
  }

  void fold(Term* out) {
    for (const Term* item : out->items)
      if (item->kind != TermKind::kScalar) return;
    if (out->kind == TermKind::kObject) {
      ObjectBuilder builder;
      for (std::size_t i = 0; i + 1 < out->items.size(); i += 2)
        builder.add(out->items[i]->scalar, out->items[i + 1]->scalar);
      Value object = builder.build_unique();
      if (object.is_undefined()) return;  // two values for one key: the evaluator reports it
      out->scalar = std::move(object);
    } else {
      std::vector<Value> items;
      items.reserve(out->items.size());
      for (const Term* item : out->items) items.push_back(item->scalar);
      out->scalar =
          out->kind == TermKind::kArray ? Value::array_from(items) : Value::set_from(items);
    }
    out->kind = TermKind::kScalar;
    out->items.clear();
  }

  void term(Term* out) {
    switch (out->kind) {
      case TermKind::kScalar:
        return;
      case TermKind::kVar:
        return variable(out);
      case TermKind::kRef:
        return reference(out);
      case TermKind::kArray:
      case TermKind::kSet:
      case TermKind::kObject:
        for (Term* item : out->items) term(item);
        return fold(out);
      case TermKind::kTemplate:
        for (Term* item : out->items) term(item);
        return;
      case TermKind::kCall:
        return call(out);
      case TermKind::kArrayComprehension:
      case TermKind::kSetComprehension:
      case TermKind::kObjectComprehension:
        scopes_.back().closures.push_back({.comprehension = out});
        return;
    }
  }

  // The dotted name of what is called, with globals put in.
  bool callee(Term* out) {
    const Term* name = out->callee;
    const Term* head = name->kind == TermKind::kVar ? name : name->items.front();
    std::vector<Term*> path;
    if (lookup(head->name) == kUnresolved) path = global_path(head->name, head->loc);
    std::string text = head->name;
    const bool global = !path.empty() || head->name == "data";
    if (path.empty()) {
      Term* root = module_.new_term(TermKind::kVar, head->loc);
      root->name = head->name;
      root->var = kDataVar;
      path.push_back(root);
    }
    if (name->kind == TermKind::kRef) {
      for (std::size_t i = 1; i < name->items.size(); ++i) {
        path.push_back(name->items[i]);
        text += '.';
        text += name->items[i]->scalar.is_string() ? name->items[i]->scalar.as_string() : "?";
      }
    }
    if (global) {
      RuleNode* node = tree_.root;
      for (std::size_t i = 1; i < path.size() && node != nullptr; ++i) {
        const auto found = node->children.find(path[i]->scalar);
        node = found == node->children.end() ? nullptr : found->second.get();
      }
      if (node != nullptr && node->kind == RuleKind::kFunction) {
        out->function = node;
        return true;
      }
    }
    if (text == "print" && !global) {
      out->name = "print";
      return true;
    }
    out->builtin = function_named(text);
    if (out->builtin == nullptr) {
      error(out->loc, "undefined function " + text, "rego_type_error");
      return false;
    }
    return true;
  }

  // Of OPA's functions or the host's own.
  [[nodiscard]] const Builtin* function_named(std::string_view name) const {
    if (const Builtin* builtin = find_builtin(name)) return builtin;
    const auto own = std::ranges::find(tree_.host_functions, name, &Builtin::name);
    return own == tree_.host_functions.end() ? nullptr : &*own;
  }

  // A statement may give one argument more than the arity: where the result goes.
  void call(Term* out, bool statement = false) {
    if (out->callee != nullptr) {
      if (!callee(out)) return;
    } else {
      out->builtin = function_named(out->name);
    }
    if (out->name != "print") check_call(*out, statement);
    for (Term* item : out->items) term(item);
  }

  void check_call(const Term& call, bool statement) {
    const Builtin* builtin = call.builtin;
    if (builtin != nullptr && (builtin->flags & kRefused) != 0) {
      error(call.loc,
            fmt::format("built-in function {} is refused: {}", builtin->name, builtin->refusal),
            "rego_type_error");
      return;
    }
    if (builtin != nullptr && (builtin->flags & kDeprecated) != 0 &&
        module_.version == RegoVersion::kV1)
      error(call.loc,
            "deprecated built-in function calls in expression: " + std::string(builtin->name),
            "rego_type_error");
    const std::size_t arity = call_arity(call);
    if (call.items.size() == arity || (statement && call.items.size() == arity + 1)) return;
    const std::string name =
        call.function != nullptr ? call.function->path() : std::string(builtin->name);
    error(call.loc,
          name + ": arity mismatch: have " + std::to_string(call.items.size()) +
              " arguments, want " + std::to_string(arity),
          "rego_type_error");
  }

  void with_target(Term* target) {
    // Functions are resolved when the statement is compiled; roots and globals here.
    if (target->kind == TermKind::kVar) {
      if (target->name == "input" || target->name == "data") {
        target->var = target->name == "data" ? kDataVar : kInputVar;
      } else if (const auto path = global_path(target->name, target->loc); path.size() > 1) {
        target->kind = TermKind::kRef;
        target->items = path;
      } else if (path.size() == 1) {
        target->var = path.front()->var;
      }
      return;
    }
    Term* head = target->items.front();
    if (head->kind != TermKind::kVar) return;
    std::vector<Term*> path = global_path(head->name, head->loc);
    if (!path.empty()) {
      path.insert(path.end(), target->items.begin() + 1, target->items.end());
      target->items = std::move(path);
    } else if (head->name == "data" || head->name == "input") {
      head->var = head->name == "data" ? kDataVar : kInputVar;
    }
  }

  void statements(Body& body) {
    for (Expr* expr : body.exprs) statement(*expr);
  }

  void statement(Expr& expr) {
    for (const With& with : expr.withs) {
      with_target(with.target);
      const bool callable =
          with.value->kind == TermKind::kVar || with.value->kind == TermKind::kRef;
      if (callable && is_function_name(*with.value)) {
        with_target(with.value);
      } else {
        term(with.value);
      }
    }
    switch (expr.kind) {
      case ExprKind::kTerm:
        return expr.lhs->kind == TermKind::kCall ? call(expr.lhs, true) : term(expr.lhs);
      case ExprKind::kUnify:
        term(expr.lhs);
        return term(expr.rhs);
      case ExprKind::kAssign:
        if (expr.lhs->kind != TermKind::kVar && expr.lhs->kind != TermKind::kArray &&
            expr.lhs->kind != TermKind::kObject)
          error(expr.lhs->loc, "cannot assign to what is neither a variable nor a pattern");
        term(expr.rhs);
        declare_pattern(expr.lhs);
        return term(expr.lhs);
      case ExprKind::kSome:
        for (Term* var : expr.vars) var->var = declare(var->name, var->loc);
        return;
      case ExprKind::kSomeIn:
        term(expr.domain);
        if (expr.key != nullptr) declare_pattern(expr.key);
        declare_pattern(expr.value);
        if (expr.key != nullptr) term(expr.key);
        return term(expr.value);
      case ExprKind::kEvery:
        term(expr.domain);
        scopes_.back().closures.push_back({.expr = &expr});
        return;
      case ExprKind::kNot:
        scopes_.back().closures.push_back({.expr = &expr});
        return;
      case ExprKind::kAnd:
      case ExprKind::kOr:
        for (Body* operand : expr.operands) scopes_.back().closures.push_back({.body = operand});
        return;
    }
  }

  // A function of the policy or a builtin, named without arguments (`with f as g`).
  bool is_function_name(const Term& name) {
    const Term* head = name.kind == TermKind::kVar ? &name : name.items.front();
    if (head->kind != TermKind::kVar || lookup(head->name) != kUnresolved) return false;
    std::vector<Term*> path = global_path(head->name, head->loc);
    std::string text = head->name;
    const bool global = !path.empty() || head->name == "data";
    if (name.kind == TermKind::kRef) {
      for (std::size_t i = 1; i < name.items.size(); ++i) {
        if (name.items[i]->kind != TermKind::kScalar || !name.items[i]->scalar.is_string())
          return false;
        text += "." + std::string(name.items[i]->scalar.as_string());
        path.push_back(name.items[i]);
      }
    }
    if (!global) return find_builtin(text) != nullptr;
    const RuleNode* node = tree_.root;
    for (const Term* step : path) {
      if (step->kind != TermKind::kScalar) continue;
      const auto found = node->children.find(step->scalar);
      if (found == node->children.end()) return false;
      node = found->second.get();
    }
    return node->kind == RuleKind::kFunction;
  }

  void run_closures() {
    const std::vector<Closure> closures = std::move(scopes_.back().closures);
    scopes_.back().closures.clear();
    for (const Closure& closure : closures) run_closure(closure);
  }

  void run_closure(const Closure& closure) {
    if (closure.comprehension != nullptr) {
      push_scope(closure.comprehension);
      statements(*closure.comprehension->body);
      for (Term* item : closure.comprehension->items) term(item);
    } else if (closure.expr != nullptr) {
      push_scope(closure.expr);
      if (closure.expr->kind == ExprKind::kEvery) {
        if (closure.expr->key != nullptr) declare_pattern(closure.expr->key);
        declare_pattern(closure.expr->value);
      }
      statements(*closure.expr->body);
    } else {
      push_scope(closure.body);
      statements(*closure.body);
    }
    run_closures();
    pop_scope();
  }

  const RuleTree& tree_;
  Module& module_;
  Variables& variables_;
  std::vector<Diagnostic>& errors_;
  const std::set<std::string>* names_ = nullptr;
  std::map<std::string, const Term*> imports_;
  std::vector<Scope> scopes_;
};

}  // namespace

void resolve_rule(const RuleTree& tree, Module& module, Rule& rule, std::vector<Term*>& path,
                  Variables& variables, std::vector<Diagnostic>& errors) {
  Resolver(tree, module, variables, errors).rule(rule, path);
}

std::size_t call_arity(const Term& call) {
  if (call.function != nullptr) return call.function->arity;
  return call.builtin != nullptr ? call.builtin->arity : call.items.size();
}

RuleNode* find_node(RuleNode* root, const Term* ref, std::size_t& used) {
  RuleNode* node = root;
  used = 1;
  if (ref->kind != TermKind::kRef) return node;
  while (used < ref->items.size() && ref->items[used]->kind == TermKind::kScalar) {
    const auto found = node->children.find(ref->items[used]->scalar);
    if (found == node->children.end()) break;
    node = found->second.get();
    ++used;
    if (node->kind != RuleKind::kInner) break;
  }
  return node;
}

}  // namespace coffer::policy
