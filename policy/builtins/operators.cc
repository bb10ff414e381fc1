// The operators as functions: what infix text means, and what a mock or `plus(1, 2)` calls.
#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

template <ArithmeticOp kOp>
Result<Value> arithmetic_builtin(BuiltinContext&, Args args) {
  for (std::size_t i = 0; i < 2; ++i)
    if (!args[i].is_number()) return operand_error(i + 1, "number", args[i]);
  return arithmetic(kOp, args[0], args[1]);
}

Value difference(const Value& a, const Value& b) {
  std::vector<Value> kept;
  for (const Value& item : a.items())
    if (!b.contains(item)) kept.push_back(item);
  return Value::set(std::move(kept));
}

Result<Value> minus(BuiltinContext& context, Args args) {
  if (args[0].is_set() && args[1].is_set()) return difference(args[0], args[1]);
  if (!args[0].is_number() && !args[0].is_set())
    return operand_error_one_of(1, "number, set", args[0]);
  if (args[0].is_set()) return operand_error(2, "set", args[1]);
  if (!args[1].is_number()) return operand_error(2, "number", args[1]);
  return arithmetic_builtin<ArithmeticOp::kSubtract>(context, args);
}

Result<Value> set_and(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kSet));
  COFFER_TRY_VOID(require_type(args, 2, Type::kSet));
  std::vector<Value> kept;
  for (const Value& item : args[0].items())
    if (args[1].contains(item)) kept.push_back(item);
  return Value::set(std::move(kept));
}

Result<Value> set_or(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kSet));
  COFFER_TRY_VOID(require_type(args, 2, Type::kSet));
  std::vector<Value> all(args[0].items().begin(), args[0].items().end());
  all.insert(all.end(), args[1].items().begin(), args[1].items().end());
  return Value::set(std::move(all));
}

template <typename Holds>
Result<Value> compare_builtin(Args args, Holds holds) {
  return Value::boolean(holds(args[0].compare(args[1])));
}

Result<Value> equal(BuiltinContext&, Args a) { return Value::boolean(a[0] == a[1]); }
Result<Value> not_equal(BuiltinContext&, Args a) { return Value::boolean(!(a[0] == a[1])); }
Result<Value> less(BuiltinContext&, Args a) {
  return compare_builtin(a, [](int order) { return order < 0; });
}
Result<Value> less_equal(BuiltinContext&, Args a) {
  return compare_builtin(a, [](int order) { return order <= 0; });
}
Result<Value> greater(BuiltinContext&, Args a) {
  return compare_builtin(a, [](int order) { return order > 0; });
}
Result<Value> greater_equal(BuiltinContext&, Args a) {
  return compare_builtin(a, [](int order) { return order >= 0; });
}

Result<Value> member_2(BuiltinContext&, Args args) {
  const Value& collection = args[1];
  if (collection.is_set()) return Value::boolean(collection.contains(args[0]));
  if (collection.is_array()) {
    for (const Value& item : collection.items())
      if (item == args[0]) return Value::boolean(true);
  } else if (collection.is_object()) {
    for (const Entry& entry : collection.entries())
      if (entry.value == args[0]) return Value::boolean(true);
  }
  return Value::boolean(false);
}

Result<Value> member_3(BuiltinContext&, Args args) {
  const Value* found = args[2].get(args[0]);
  return Value::boolean(found != nullptr && *found == args[1]);
}

constexpr Builtin kTable[] = {
    {"plus", 2, arithmetic_builtin<ArithmeticOp::kAdd>, kPure, "+"},
    {"minus", 2, minus, kPure, "-"},
    {"mul", 2, arithmetic_builtin<ArithmeticOp::kMultiply>, kPure, "*"},
    {"div", 2, arithmetic_builtin<ArithmeticOp::kDivide>, kPure, "/"},
    {"rem", 2, arithmetic_builtin<ArithmeticOp::kRemainder>, kPure, "%"},
    {"and", 2, set_and, kPure, "&"},
    {"or", 2, set_or, kPure, "|"},
    {"equal", 2, equal, kPure, "=="},
    {"neq", 2, not_equal, kPure, "!="},
    {"lt", 2, less, kPure, "<"},
    {"lte", 2, less_equal, kPure, "<="},
    {"gt", 2, greater, kPure, ">"},
    {"gte", 2, greater_equal, kPure, ">="},
    {"internal.member_2", 2, member_2, kPure, "in"},
    {"internal.member_3", 3, member_3, kPure, "in"},
};

}  // namespace

std::span<const Builtin> operator_builtins() { return kTable; }

}  // namespace coffer::policy
