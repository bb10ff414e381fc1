// abs, ceil, floor, round and numbers.*.

#include <array>
#include <cmath>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

Result<Value> abs_builtin(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kNumber));
  if (compare_numbers(args[0], Value::integer(0)) >= 0) return args[0];
  return arithmetic(ArithmeticOp::kSubtract, Value::integer(0), args[0]);
}

template <long double (*Function)(long double)>
Result<Value> rounded(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kNumber));
  if (const auto integer = to_bigint(args[0])) return number(*integer);
  const Value result = number(Function(to_long_double(args[0])));
  if (!result.defined()) return builtin_error("the number is out of range");
  return result;
}

long double ceil_of(long double x) { return std::ceil(x); }
long double floor_of(long double x) { return std::floor(x); }
long double round_of(long double x) { return std::round(x); }

Result<BigInt> integer_operand(std::span<const Value> args, std::size_t position) {
  if (!args[position - 1].is_number()) {
    return operand_error(position, "number", args[position - 1]);
  }
  auto n = to_bigint(args[position - 1]);
  if (!n) {
    return type_error("operand " + std::to_string(position) +
                      " must be integer number but got floating-point number");
  }
  return *std::move(n);
}

// From `low` to `high` in steps, downwards when high is below low.
Result<Value> range_of(BuiltinContext& context, const BigInt& low, const BigInt& high,
                       const BigInt& step, std::string_view name) {
  const bool down = high.compare(low) < 0;
  const BigInt span = (high - low).abs().quotient(step);
  const auto count = span.to_int64();
  if (!count || *count == INT64_MAX) {
    return fail(Code::kResourceExhausted, std::string(name) + ": the range is too large");
  }
  COFFER_TRY_VOID(context.check_size(static_cast<std::size_t>(*count) + 1, name));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(*count) + 1);
  BigInt at = low;
  for (std::int64_t i = 0; i <= *count; ++i) {
    items.push_back(number(at));
    at = down ? at - step : at + step;
  }
  return Value::array(std::move(items));
}

Result<Value> range(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const BigInt low, integer_operand(args, 1));
  COFFER_TRY(const BigInt high, integer_operand(args, 2));
  return range_of(context, low, high, BigInt(1), "numbers.range");
}

Result<Value> range_step(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const BigInt low, integer_operand(args, 1));
  COFFER_TRY(const BigInt high, integer_operand(args, 2));
  COFFER_TRY(const BigInt step, integer_operand(args, 3));
  if (step.is_negative() || step.is_zero()) {
    return builtin_error("step must be a positive integer");
  }
  return range_of(context, low, high, step, "numbers.range_step");
}

constexpr std::array<Builtin, 6> kBuiltins = {{
    {"abs", 1, abs_builtin},
    {"ceil", 1, rounded<ceil_of>},
    {"floor", 1, rounded<floor_of>},
    {"round", 1, rounded<round_of>},
    {"numbers.range", 2, range},
    {"numbers.range_step", 3, range_step},
}};

}  // namespace

std::span<const Builtin> number_builtins() { return kBuiltins; }

}  // namespace coffer::policy
