// Arrays and sets.
#include <algorithm>

#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

Result<Value> array_concat(BuiltinContext& context, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kArray));
  COFFER_TRY_VOID(require_type(args, 2, Type::kArray));
  COFFER_TRY_VOID(context.check_size(args[0].size() + args[1].size(), "array.concat"));
  std::vector<Value> items(args[0].items().begin(), args[0].items().end());
  items.insert(items.end(), args[1].items().begin(), args[1].items().end());
  return Value::array(std::move(items));
}

Result<Value> array_reverse(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kArray));
  std::vector<Value> items(args[0].items().rbegin(), args[0].items().rend());
  return Value::array(std::move(items));
}

Result<Value> array_slice(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kArray));
  COFFER_TRY(std::int64_t start, int_operand(args, 2));
  COFFER_TRY(std::int64_t stop, int_operand(args, 3));
  const auto size = static_cast<std::int64_t>(args[0].size());
  start = std::max<std::int64_t>(start, 0);
  stop = std::min(stop, size);
  if (start >= stop) return Value::empty_array();
  const auto part = args[0].items().subspan(static_cast<std::size_t>(start),
                                            static_cast<std::size_t>(stop - start));
  return Value::array({part.begin(), part.end()});
}

void flatten_into(std::vector<Value>& out, const Value& array) {
  for (const Value& item : array.items()) {
    if (item.is_array()) {
      flatten_into(out, item);
    } else {
      out.push_back(item);
    }
  }
}

Result<Value> array_flatten(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kArray));
  std::vector<Value> out;
  flatten_into(out, args[0]);
  return Value::array(std::move(out));
}

Status require_sets_inside(const Value& v) {
  if (!v.is_set()) return operand_error(1, "set", v);
  for (const Value& inner : v.items())
    if (!inner.is_set())
      return type_error("operand 1 must be set of sets but got set containing " +
                        std::string(type_name(inner.type())));
  return {};
}

Result<Value> set_union(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_sets_inside(args[0]));
  std::vector<Value> all;
  for (const Value& inner : args[0].items())
    all.insert(all.end(), inner.items().begin(), inner.items().end());
  return Value::set(std::move(all));
}

Result<Value> set_intersection(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_sets_inside(args[0]));
  if (args[0].size() == 0) return Value::empty_set();
  std::vector<Value> kept;
  for (const Value& item : args[0].items().front().items()) {
    const auto others = args[0].items().subspan(1);
    if (std::all_of(others.begin(), others.end(),
                    [&item](const Value& other) { return other.contains(item); }))
      kept.push_back(item);
  }
  return Value::set(std::move(kept));
}

Result<Value> set_diff(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kSet));
  COFFER_TRY_VOID(require_type(args, 2, Type::kSet));
  std::vector<Value> kept;
  for (const Value& item : args[0].items())
    if (!args[1].contains(item)) kept.push_back(item);
  return Value::set(std::move(kept));
}

constexpr Builtin kArrays[] = {
    {"array.concat", 2, array_concat},
    {"array.reverse", 1, array_reverse},
    {"array.slice", 3, array_slice},
    {"array.flatten", 1, array_flatten},
};

constexpr Builtin kSets[] = {
    {"union", 1, set_union},
    {"intersection", 1, set_intersection},
    {"set_diff", 2, set_diff, kDeprecated},
};

}  // namespace

std::span<const Builtin> array_builtins() { return kArrays; }
std::span<const Builtin> set_builtins() { return kSets; }

}  // namespace coffer::policy
