#include <algorithm>
#include <string>

#include "policy/builtins/registry.h"
#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

Result<Value> count(BuiltinContext&, Args args) {
  const Value& v = args[0];
  if (v.is_composite()) return Value::integer(static_cast<std::int64_t>(v.size()));
  if (v.is_string()) return Value::integer(static_cast<std::int64_t>(count_runes(v.as_string())));
  return operand_error_one_of(1, "array, object, set, string", v);
}

Result<Value> fold(Args args, ArithmeticOp op, std::int64_t start) {
  if (!args[0].is_array() && !args[0].is_set())
    return operand_error_one_of(1, "set, array", args[0]);
  Value total = Value::integer(start);
  for (const Value& item : args[0].items()) {
    if (!item.is_number())
      return type_error("operand 1 must be " + std::string(type_name(args[0].type())) +
                        " of numbers but got " + std::string(type_name(args[0].type())) +
                        " containing " + std::string(type_name(item.type())));
    COFFER_TRY(total, arithmetic(op, total, item));
  }
  return total;
}

Result<Value> sum(BuiltinContext&, Args args) { return fold(args, ArithmeticOp::kAdd, 0); }
Result<Value> product(BuiltinContext&, Args args) { return fold(args, ArithmeticOp::kMultiply, 1); }

Result<Value> extreme(Args args, int sign) {
  if (!args[0].is_array() && !args[0].is_set())
    return operand_error_one_of(1, "set, array", args[0]);
  const Value* best = nullptr;
  for (const Value& item : args[0].items())
    if (best == nullptr || item.compare(*best) * sign > 0) best = &item;
  return best == nullptr ? Value::undefined() : *best;
}

Result<Value> max(BuiltinContext&, Args args) { return extreme(args, 1); }
Result<Value> min(BuiltinContext&, Args args) { return extreme(args, -1); }

Result<Value> sort(BuiltinContext&, Args args) {
  if (!args[0].is_array() && !args[0].is_set())
    return operand_error_one_of(1, "set, array", args[0]);
  std::vector<Value> items(args[0].items().begin(), args[0].items().end());
  std::stable_sort(items.begin(), items.end());
  return Value::array(std::move(items));
}

Result<Value> all(BuiltinContext&, Args args) {
  if (!args[0].is_array() && !args[0].is_set())
    return operand_error_one_of(1, "array, set", args[0]);
  for (const Value& item : args[0].items())
    if (!item.is_true()) return Value::boolean(false);
  return Value::boolean(true);
}

Result<Value> any(BuiltinContext&, Args args) {
  if (!args[0].is_array() && !args[0].is_set())
    return operand_error_one_of(1, "array, set", args[0]);
  for (const Value& item : args[0].items())
    if (item.is_true()) return Value::boolean(true);
  return Value::boolean(false);
}

constexpr Builtin kTable[] = {
    {"count", 1, count},
    {"sum", 1, sum},
    {"product", 1, product},
    {"max", 1, max},
    {"min", 1, min},
    {"sort", 1, sort},
    {"all", 1, all, kDeprecated},
    {"any", 1, any, kDeprecated},
};

}  // namespace

std::span<const Builtin> aggregate_builtins() { return kTable; }

}  // namespace coffer::policy
