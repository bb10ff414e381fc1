// The document `data`: base and virtual documents merged, `with`, objects made of paths.
#include <algorithm>

#include "policy/eval/machine_state.h"

namespace coffer::policy {

bool Machine::is_hidden(const RuleNode& node) const {
  for (const RuleNode* at = &node; at != nullptr; at = at->parent)
    if (std::find(world_->hidden.begin(), world_->hidden.end(), at) != world_->hidden.end())
      return true;
  return false;
}

const Value* Machine::base_at(const RuleNode& node) const {
  std::vector<const Value*> steps;
  for (const RuleNode* at = &node; at->parent != nullptr; at = at->parent)
    steps.push_back(&at->key);
  const Value* base = &world_->data;
  for (auto step = steps.rbegin(); step != steps.rend() && base != nullptr; ++step)
    base = base->get(**step);
  return base == nullptr || base->is_undefined() ? nullptr : base;
}

Value Machine::make_cursor(const RuleNode& node) const {
  auto* rep = new CursorRep();
  rep->node = !world_->hidden.empty() && is_hidden(node) ? nullptr : &node;
  const Value* base = base_at(node);
  if (base != nullptr) rep->base = *base;
  return Value::opaque(rep);
}

Value Machine::cursor_keys(const Value& cursor) const {
  const CursorRep* at = cursor_of(cursor);
  std::vector<Value> keys;
  if (at->node != nullptr) {
    for (const auto& [key, inner] : at->node->children)
      if (inner->kind != RuleKind::kFunction) keys.push_back(key);
  }
  if (at->base.is_object()) {
    for (const Entry& entry : at->base.entries()) keys.push_back(entry.key);
  } else if (at->base.is_set()) {
    keys.insert(keys.end(), at->base.items().begin(), at->base.items().end());
  } else if (at->base.is_array()) {
    for (std::size_t i = 0; i < at->base.size(); ++i)
      keys.push_back(Value::integer(static_cast<std::int64_t>(i)));
  }
  return Value::set(std::move(keys));
}

bool Machine::cursor_get(const Value& cursor, const Value& key, Value& out) {
  const CursorRep* at = cursor_of(cursor);
  if (at == nullptr) {
    const Value* found = cursor.get(key);
    out = found == nullptr ? Value() : *found;
    return true;
  }
  const Value* base = at->base.get(key);
  if (at->node != nullptr) {
    const auto child = at->node->children.find(key);
    const bool hidden =
        child != at->node->children.end() && !world_->hidden.empty() && is_hidden(*child->second);
    if (child != at->node->children.end() && !hidden &&
        child->second->kind != RuleKind::kFunction) {
      const RuleNode& node = *child->second;
      if (node.kind != RuleKind::kInner) return rule_value(node, out);
      auto* rep = new CursorRep();
      rep->node = &node;
      if (base != nullptr) rep->base = *base;
      out = Value::opaque(rep);
      return true;
    }
  }
  out = base == nullptr ? Value() : *base;
  return true;
}

bool Machine::extent(const Value& value, Value& out) {
  const CursorRep* at = cursor_of(value);
  if (at == nullptr) {
    out = value;
    return true;
  }
  const Value* base = at->base.defined() ? &at->base : nullptr;
  if (at->node == nullptr) {
    out = base == nullptr ? Value() : *base;
    return true;
  }
  return node_extent(*at->node, base, out);
}

namespace {

// Base documents win over rules of the same place; objects are merged.
Value merge(const Value& base, const Value& rules) {
  if (!base.is_object() || !rules.is_object()) return base;
  ObjectBuilder out;
  for (const Entry& entry : base.entries()) {
    const Value* other = rules.find(entry.key);
    out.add(entry.key, other == nullptr ? entry.value : merge(entry.value, *other));
  }
  for (const Entry& entry : rules.entries())
    if (base.find(entry.key) == nullptr) out.add(entry.key, entry.value);
  return out.build();
}

}  // namespace

// All that stands under an inner node. As deep as the tree of rules, which is as deep as the
// longest package path and head.
bool Machine::node_extent(const RuleNode& node, const Value* base, Value& out) {
  if (++depth_ > options_.limits.max_depth) return limit("packages are nested too deeply");
  ObjectBuilder rules;
  for (const auto& [key, child] : node.children) {
    if (child->kind == RuleKind::kFunction) continue;
    if (!world_->hidden.empty() && is_hidden(*child)) continue;
    Value value;
    if (child->kind == RuleKind::kInner) {
      if (!node_extent(*child, nullptr, value)) return false;
    } else if (!rule_value(*child, value)) {
      return false;
    }
    if (value.defined()) rules.add(key, std::move(value));
  }
  --depth_;
  out = rules.build();
  if (base != nullptr) out = merge(*base, out);
  return true;
}

namespace {

// `document` with `value` at `path`; what is in the way and no object is replaced.
Value replaced(const Value& document, std::span<const Value> path, const Value& value) {
  if (path.empty()) return value;
  const Value* inner = document.find(path.front());
  Value next = replaced(inner == nullptr ? Value() : *inner, path.subspan(1), value);
  if (!document.is_object()) {
    ObjectBuilder builder;
    builder.add(path.front(), std::move(next));
    return builder.build();
  }
  return with_entry(document, path.front(), std::move(next));
}

}  // namespace

bool Machine::enter_world(const std::vector<WithTarget>& targets, const Function& fn,
                          const Value* registers, const Location& loc) {
  if (world_count_ > options_.limits.max_depth) return limit("`with` is nested too deeply");
  if (world_count_ == worlds_.size()) worlds_.push_back(std::make_unique<World>());
  World& next = *worlds_[world_count_];
  next.input = world_->input;
  next.data = world_->data;
  next.hidden = world_->hidden;
  next.mocks = world_->mocks;
  next.cache.assign(program_.slots, {});
  next.calls.clear();
  for (const WithTarget& target : targets) {
    const Value* const constants = fn.constants.data();
    const Value& value = target.value >= 0 ? registers[target.value] : constants[~target.value];
    switch (target.kind) {
      case WithTarget::Kind::kInput:
        next.input = replaced(next.input, target.path, value);
        break;
      case WithTarget::Kind::kData:
        next.data = replaced(next.data, target.path, value);
        if (target.hides != nullptr) next.hidden.push_back(target.hides);
        break;
      case WithTarget::Kind::kFunction:
      case WithTarget::Kind::kBuiltin:
        next.mocks.push_back(
            {target.function, target.builtin, value, target.by_function, target.by_builtin});
        break;
    }
  }
  if (next.input.depth() > kMaxDepth || next.data.depth() > kMaxDepth)
    return error(loc, "eval_with_merge_error", "a document is nested too deeply");
  ++world_count_;
  world_ = &next;
  return true;
}

void Machine::leave_world() {
  World& world = *worlds_[--world_count_];
  world.input = Value();
  world.data = Value();
  world.cache.clear();
  world.calls.clear();
  world.hidden.clear();
  world.mocks.clear();
  world_ = worlds_[world_count_ - 1].get();
}

const Machine::Mock* Machine::find_mock(const RuleNode* function, const Builtin* builtin) const {
  for (auto mock = world_->mocks.rbegin(); mock != world_->mocks.rend(); ++mock)
    if (mock->function == function && mock->builtin == builtin) return &*mock;
  return nullptr;
}

// Inside a replacement no mock is active, so that it may call what it replaces.
bool Machine::call_mock(const Mock& mock, std::span<const Value> args, const Location& loc,
                        Value& out) {
  if (mock.by_function == nullptr && mock.by_builtin == nullptr) {
    out = mock.value;
    return true;
  }
  const RuleNode* function = mock.by_function;
  const Builtin* builtin = mock.by_builtin;
  World* const world = world_;
  const std::vector<Mock> mocks = std::move(world->mocks);
  world->mocks.clear();
  Value result;
  const bool ok = function != nullptr ? call_function(*function, args, result)
                                      : call_builtin(*builtin, args, loc, result);
  world->mocks = mocks;
  out = std::move(result);
  return ok;
}

bool Machine::path_insert(Op op, const std::vector<Value>& path, const Value& value,
                          const Location& loc) {
  const auto conflict = [&] {
    return error(loc, "eval_conflict_error", "object keys must be unique");
  };
  PathNode* node = paths_.back().get();
  for (const Value& step : path) {
    if (node->leaf.defined() || node->is_set) {
      if (op == Op::kPathDefault) return true;
      return conflict();
    }
    auto& child = node->children[step];
    if (child == nullptr) child = std::make_unique<PathNode>();
    node = child.get();
  }
  if (op == Op::kPathSet) {
    if (node->leaf.defined() || !node->children.empty()) return conflict();
    node->is_set = true;
    node->members.push_back(value);
    return true;
  }
  if (op == Op::kPathDefault) {
    if (node->leaf.is_undefined() && node->children.empty() && !node->is_set) node->leaf = value;
    return true;
  }
  if (node->is_set || !node->children.empty()) return conflict();
  if (node->leaf.is_undefined()) {
    node->leaf = value;
  } else if (!(node->leaf == value)) {
    return conflict();
  }
  return true;
}

// As deep as the longest rule head.
Value Machine::path_value(const PathNode& node) {
  if (node.leaf.defined()) return node.leaf;
  if (node.is_set) return Value::set(node.members);
  ObjectBuilder builder;
  for (const auto& [key, child] : node.children) builder.add(key, path_value(*child));
  return builder.build();
}

}  // namespace coffer::policy
