// Objects: lookup, selection, union.
#include <algorithm>

#include "policy/builtins/registry.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

Result<Value> object_get(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  if (!args[1].is_array()) {
    const Value* found = args[0].find(args[1]);
    return found != nullptr ? *found : args[2];
  }
  const Value* at = &args[0];
  for (const Value& step : args[1].items()) {
    at = at->get(step);
    if (at == nullptr) return args[2];
  }
  return *at;
}

Result<Value> object_keys(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  std::vector<Value> keys;
  keys.reserve(args[0].size());
  for (const Entry& entry : args[0].entries()) keys.push_back(entry.key);
  return Value::set(std::move(keys));
}

// The keys named by an array, a set or an object's keys.
Result<Value> key_set(Args args, std::size_t position) {
  const Value& keys = args[position - 1];
  if (keys.is_set()) return keys;
  std::vector<Value> out;
  if (keys.is_array()) {
    out.assign(keys.items().begin(), keys.items().end());
  } else if (keys.is_object()) {
    for (const Entry& entry : keys.entries()) out.push_back(entry.key);
  } else {
    return operand_error_one_of(position, "object, set, array", keys);
  }
  return Value::set(std::move(out));
}

Result<Value> select(Args args, bool keep) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  COFFER_TRY(const Value keys, key_set(args, 2));
  ObjectBuilder out;
  for (const Entry& entry : args[0].entries())
    if (keys.contains(entry.key) == keep) out.add(entry.key, entry.value);
  return out.build();
}

Result<Value> object_filter(BuiltinContext&, Args args) { return select(args, true); }
Result<Value> object_remove(BuiltinContext&, Args args) { return select(args, false); }

// The right side wins; objects on both sides are merged. As deep as the values, which is bounded.
Value merge(const Value& a, const Value& b) {
  if (!a.is_object() || !b.is_object()) return b;
  ObjectBuilder out;
  for (const Entry& entry : a.entries()) {
    const Value* other = b.find(entry.key);
    out.add(entry.key, other == nullptr ? entry.value : merge(entry.value, *other));
  }
  for (const Entry& entry : b.entries())
    if (a.find(entry.key) == nullptr) out.add(entry.key, entry.value);
  return out.build();
}

Result<Value> object_union(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  COFFER_TRY_VOID(require_type(args, 2, Type::kObject));
  return merge(args[0], args[1]);
}

Result<Value> object_union_n(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kArray));
  Value out = Value::empty_object();
  for (const Value& item : args[0].items()) {
    if (!item.is_object())
      return type_error("operand 1 must be array of objects but got array containing " +
                        std::string(type_name(item.type())));
    out = merge(out, item);
  }
  return out;
}

bool is_subset(const Value& super, const Value& sub);

bool object_subset_of(const Value& super, const Value& sub) {
  return std::all_of(sub.entries().begin(), sub.entries().end(), [&super](const Entry& entry) {
    const Value* found = super.find(entry.key);
    return found != nullptr && is_subset(*found, entry.value);
  });
}

bool subsequence(const Value& super, const Value& sub) {
  const auto all = super.items();
  const auto part = sub.items();
  if (part.empty()) return true;
  for (std::size_t start = 0; start + part.size() <= all.size(); ++start)
    if (std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(start)))
      return true;
  return false;
}

bool is_subset(const Value& super, const Value& sub) {
  if (super.is_object() && sub.is_object()) return object_subset_of(super, sub);
  if (super.is_set() && sub.is_set())
    return std::all_of(sub.items().begin(), sub.items().end(),
                       [&super](const Value& v) { return super.contains(v); });
  if (super.is_array() && sub.is_array()) return subsequence(super, sub);
  return super == sub;
}

Result<Value> object_subset(BuiltinContext&, Args args) {
  const Value& super = args[0];
  const Value& sub = args[1];
  const bool same = super.type() == sub.type() && super.is_composite();
  if (super.is_array() && sub.is_set()) {
    const Value elements = Value::set({super.items().begin(), super.items().end()});
    return Value::boolean(is_subset(elements, sub));
  }
  if (!same)
    return type_error("both arguments object.subset must be of the same type or array and set");
  return Value::boolean(is_subset(super, sub));
}

constexpr Builtin kTable[] = {
    {"object.get", 3, object_get},       {"object.keys", 1, object_keys},
    {"object.filter", 2, object_filter}, {"object.remove", 2, object_remove},
    {"object.union", 2, object_union},   {"object.union_n", 1, object_union_n},
    {"object.subset", 2, object_subset},
};

}  // namespace

std::span<const Builtin> object_builtins() { return kTable; }

}  // namespace coffer::policy
