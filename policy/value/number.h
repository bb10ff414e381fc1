// Numbers as OPA has them: literals keep their text, integers are exact at any size, everything
// else goes through a binary float with a 64-bit significand (Go's big.Float default), which on
// x86-64 is exactly `long double`.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/value/value.h"

struct bignum_st;

namespace coffer::policy {

// Integers of any size (OpenSSL's BIGNUM inside). Values move and copy.
class BigInt {
 public:
  BigInt();
  explicit BigInt(std::int64_t n);
  BigInt(const BigInt& other);
  BigInt(BigInt&& other) noexcept = default;
  BigInt& operator=(const BigInt& other);
  BigInt& operator=(BigInt&& other) noexcept = default;
  ~BigInt() = default;

  // Optional sign and digits of `base` 10 or 16, nothing else.
  [[nodiscard]] static std::optional<BigInt> parse(std::string_view text, int base = 10);
  [[nodiscard]] std::string to_decimal() const;
  // Digits in base 2..36, lower case, with a sign.
  [[nodiscard]] std::string to_base(unsigned base) const;
  [[nodiscard]] std::optional<std::int64_t> to_int64() const;
  [[nodiscard]] bool is_zero() const;
  [[nodiscard]] bool is_negative() const;
  [[nodiscard]] int bits() const;
  [[nodiscard]] int compare(const BigInt& other) const;

  [[nodiscard]] BigInt operator+(const BigInt& other) const;
  [[nodiscard]] BigInt operator-(const BigInt& other) const;
  [[nodiscard]] BigInt operator*(const BigInt& other) const;
  // Truncated towards zero, as Go's Quo and Rem; the divisor is not zero.
  [[nodiscard]] BigInt quotient(const BigInt& divisor) const;
  [[nodiscard]] BigInt remainder(const BigInt& divisor) const;
  [[nodiscard]] BigInt operator-() const;
  [[nodiscard]] BigInt abs() const;
  // Two's complement semantics of unlimited width, as Go's big.Int.
  [[nodiscard]] BigInt bit_and(const BigInt& other) const;
  [[nodiscard]] BigInt bit_or(const BigInt& other) const;
  [[nodiscard]] BigInt bit_xor(const BigInt& other) const;
  [[nodiscard]] BigInt bit_not() const;
  [[nodiscard]] BigInt shift_left(unsigned bits) const;
  // Rounds towards negative infinity.
  [[nodiscard]] BigInt shift_right(unsigned bits) const;

 private:
  struct Free {
    void operator()(bignum_st* bn) const;
  };
  std::unique_ptr<bignum_st, Free> bn_;
};

// JSON number grammar only; kInvalidArgument otherwise. The text is kept unless it is a canonical
// 64-bit integer.
[[nodiscard]] Result<Value> parse_number(std::string_view text);
[[nodiscard]] bool is_json_number(std::string_view text);
[[nodiscard]] Value number(const BigInt& n);
// As OPA's FloatToNumber: integers in full, others as the shortest text that reads back the same.
// Undefined for NaN and infinities.
[[nodiscard]] Value number(long double n);

// `v` is a number in all of these.
[[nodiscard]] int compare_numbers(const Value& a, const Value& b);
// Nearest of each; infinities when out of range.
[[nodiscard]] double to_double(const Value& v);
[[nodiscard]] long double to_long_double(const Value& v);
// The value when integral and in range: 1, 1.0 and 1e0 are 1.
[[nodiscard]] std::optional<std::int64_t> to_int64(const Value& v);
// The value when integral and of at most 100,000 digits.
[[nodiscard]] std::optional<BigInt> to_bigint(const Value& v);
// Written as an integer literal (no point, no exponent): what OPA's Int() accepts.
[[nodiscard]] bool is_integer_literal(const Value& v);

enum class ArithmeticOp : std::uint8_t { kAdd, kSubtract, kMultiply, kDivide, kRemainder };
// Both are numbers. kFailedPrecondition: "divide by zero", "modulo by zero", "modulo on
// floating-point number", or a result out of range.
[[nodiscard]] Result<Value> arithmetic(ArithmeticOp op, const Value& a, const Value& b);

}  // namespace coffer::policy
