// bits.*: integers of any size, two's complement for negative ones.

#include <array>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

// A shift past this makes numbers nobody needs and eats memory: 100,000 digits are 332,193 bits.
constexpr std::int64_t kMaxShift = 332'193;

Result<BigInt> integer_operand(std::span<const Value> args, std::size_t position) {
  COFFER_TRY_VOID(require_type(args, position, Type::kNumber));
  auto n = to_bigint(args[position - 1]);
  if (!n) {
    return type_error("operand " + std::to_string(position) +
                      " must be integer number but got floating-point number");
  }
  return *std::move(n);
}

template <BigInt (BigInt::*Operation)(const BigInt&) const>
Result<Value> binary(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const BigInt a, integer_operand(args, 1));
  COFFER_TRY(const BigInt b, integer_operand(args, 2));
  return number((a.*Operation)(b));
}

Result<Value> negate(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const BigInt a, integer_operand(args, 1));
  return number(a.bit_not());
}

template <BigInt (BigInt::*Operation)(unsigned) const>
Result<Value> shift(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const BigInt a, integer_operand(args, 1));
  COFFER_TRY(const BigInt by, integer_operand(args, 2));
  if (by.is_negative()) {
    return type_error("operand 2 must be an unsigned integer number but got a negative integer");
  }
  const auto bits = by.to_int64();
  if (!bits || *bits > kMaxShift) return builtin_error("operand 2: the shift is too large");
  return number((a.*Operation)(static_cast<unsigned>(*bits)));
}

constexpr std::array<Builtin, 6> kBuiltins = {{
    {"bits.and", 2, binary<&BigInt::bit_and>},
    {"bits.or", 2, binary<&BigInt::bit_or>},
    {"bits.xor", 2, binary<&BigInt::bit_xor>},
    {"bits.negate", 1, negate},
    {"bits.lsh", 2, shift<&BigInt::shift_left>},
    {"bits.rsh", 2, shift<&BigInt::shift_right>},
}};

}  // namespace

std::span<const Builtin> bits_builtins() { return kBuiltins; }

}  // namespace coffer::policy
