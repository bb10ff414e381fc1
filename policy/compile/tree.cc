#include "policy/compile/tree.h"

#include <algorithm>

#include "policy/value/json.h"

namespace coffer::policy {

std::string RuleNode::path() const {
  std::vector<const RuleNode*> chain;
  for (const RuleNode* node = this; node->parent != nullptr; node = node->parent)
    chain.push_back(node);
  std::string out = "data";
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    const Value& step = (*it)->key;
    bool plain = step.is_string() && !step.as_string().empty();
    if (plain) {
      for (const char c : step.as_string())
        plain = plain && (c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z'));
    }
    out += plain ? "." + std::string(step.as_string()) : "[" + to_rego(step) + "]";
  }
  return out;
}

std::string package_key(const Module& module) {
  std::string out;
  for (const std::string& part : module.package) {
    if (!out.empty()) out += '.';
    out += part;
  }
  return out;
}

namespace {

RuleNode* child(RuleNode* node, const Value& key) {
  auto& slot = node->children[key];
  if (slot == nullptr) {
    slot = std::make_unique<RuleNode>();
    slot->key = key;
    slot->parent = node;
  }
  return slot.get();
}

class TreeBuilder {
 public:
  TreeBuilder(RuleNode& root, std::vector<Diagnostic>& errors) : errors_(errors) {
    tree_.root = &root;
  }

  void add(Module& module) {
    RuleNode* package = tree_.root;
    for (const std::string& part : module.package) package = child(package, Value::string(part));
    auto& names = tree_.names[package_key(module)];
    for (Rule* rule : module.rules) {
      names.insert(rule->ref->items.front()->name);
      add(module, *rule, package);
    }
  }

  RuleTree finish() {
    // Outermost first, so that a partial object takes in what stands below it.
    std::vector<RuleNode*> pending = {tree_.root};
    while (!pending.empty()) {
      RuleNode* node = pending.back();
      pending.pop_back();
      classify(node);
      for (const auto& [key, inner] : node->children) pending.push_back(inner.get());
    }
    std::erase_if(tree_.order, [this](RuleNode* node) { return !tree_.sources.contains(node); });
    return std::move(tree_);
  }

 private:
  void error(const Location& loc, std::string message) {
    errors_.push_back({"rego_type_error", loc, std::move(message)});
  }

  void add(Module& module, Rule& rule, RuleNode* node) {
    RuleSource source{&module, &rule, {}};
    node = child(node, Value::string(rule.ref->items.front()->name));
    std::size_t i = 1;
    for (; i < rule.ref->items.size(); ++i) {
      const Term* step = rule.ref->items[i];
      if (step->kind != TermKind::kScalar) break;
      node = child(node, step->scalar);
    }
    for (; i < rule.ref->items.size(); ++i) source.path.push_back(rule.ref->items[i]);
    auto& list = tree_.sources[node];
    if (list.empty()) {
      tree_.order.push_back(node);
      node->loc = rule.loc;
    }
    list.push_back(std::move(source));
  }

  // Moves the definitions below `node` into its own list.
  void absorb(RuleNode* node, RuleNode* below, std::vector<Term*>& steps) {
    for (auto it = below->children.begin(); it != below->children.end();) {
      RuleNode* inner = it->second.get();
      const auto found = tree_.sources.find(inner);
      const bool function = found != tree_.sources.end() && found->second.front().rule->is_function;
      if (function) {
        ++it;
        continue;
      }
      Module* module = tree_.sources[node].front().module;
      Term* step = module->new_term(TermKind::kScalar, inner->loc);
      step->scalar = inner->key;
      steps.push_back(step);
      if (found != tree_.sources.end()) {
        std::vector<RuleSource> moved = std::move(found->second);
        tree_.sources.erase(found);
        for (RuleSource& source : moved) {
          source.path.insert(source.path.begin(), steps.begin(), steps.end());
          tree_.sources[node].push_back(std::move(source));
        }
      }
      absorb(node, inner, steps);
      steps.pop_back();
      it = inner->children.empty() ? below->children.erase(it) : std::next(it);
    }
  }

  void classify(RuleNode* node) {
    const auto found = tree_.sources.find(node);
    if (found == tree_.sources.end()) return;
    auto& list = found->second;
    const Rule& first = *list.front().rule;
    if (first.is_function) return classify_function(node, list);
    const bool dynamic =
        std::any_of(list.begin(), list.end(), [](const RuleSource& s) { return !s.path.empty(); });
    if (dynamic) {
      for (const RuleSource& s : list)
        if (s.path.empty() || s.rule->is_function) return conflict(node, *s.rule);
      node->kind = RuleKind::kPartialObject;
      std::vector<Term*> steps;
      absorb(node, node, steps);
      return;
    }
    const bool set = first.key != nullptr;
    node->kind = set ? RuleKind::kPartialSet : RuleKind::kComplete;
    int defaults = 0;
    for (const RuleSource& s : list) {
      if (s.rule->is_function || (s.rule->key != nullptr) != set) return conflict(node, *s.rule);
      if (s.rule->is_default && ++defaults > 1)
        error(s.rule->loc, "multiple default rules " + node->path() + " found");
    }
    if (!node->children.empty()) conflict(node, first);
  }

  void classify_function(RuleNode* node, const std::vector<RuleSource>& list) {
    node->kind = RuleKind::kFunction;
    node->arity = static_cast<std::uint32_t>(list.front().rule->args.size());
    int defaults = 0;
    for (const RuleSource& s : list) {
      if (!s.rule->is_function || s.rule->args.size() != node->arity || !s.path.empty())
        return conflict(node, *s.rule);
      if (s.rule->is_default && ++defaults > 1)
        error(s.rule->loc, "multiple default rules " + node->path() + " found");
    }
  }

  void conflict(const RuleNode* node, const Rule& rule) {
    error(rule.loc, "conflicting rules " + node->path() + " found");
  }

  RuleTree tree_;
  std::vector<Diagnostic>& errors_;
};

}  // namespace

RuleTree build_tree(RuleNode& root, const std::vector<Module*>& modules,
                    std::vector<Diagnostic>& errors) {
  TreeBuilder builder(root, errors);
  for (Module* module : modules) builder.add(*module);
  return builder.finish();
}

std::vector<Term*> path_of(const RuleSource& source, const Rule& rule) {
  if (&rule == source.rule) return source.path;
  const auto& items = rule.ref->items;
  return {items.end() - static_cast<std::ptrdiff_t>(source.path.size()), items.end()};
}

}  // namespace coffer::policy
