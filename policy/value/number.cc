#include "policy/value/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace coffer::policy {
namespace {

static_assert(LDBL_MANT_DIG == 64, "OPA's numbers need a 64-bit significand");

// Integral literals with more digits than this are not expanded.
constexpr std::int64_t kMaxDigits = 100000;

// A literal taken apart: value = sign * digits * 10^exponent, digits without leading or trailing
// zeros (empty for zero).
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
};

Decimal take_apart(std::string_view text) {
  Decimal d;
  std::size_t i = 0;
  if (i < text.size() && text[i] == '-') {
    d.negative = true;
    ++i;
  }
  bool point = false;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      point = true;
      continue;
    }
    d.digits.push_back(text[i]);
    if (point) --d.exponent;
  }
  if (i < text.size()) {
    ++i;
    bool down = false;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) down = text[i++] == '-';
    std::int64_t e = 0;
    for (; i < text.size(); ++i) e = std::min<std::int64_t>(e * 10 + (text[i] - '0'), 1LL << 50);
    d.exponent += down ? -e : e;
  }
  d.digits.erase(0, std::min(d.digits.find_first_not_of('0'), d.digits.size()));
  while (!d.digits.empty() && d.digits.back() == '0') {
    d.digits.pop_back();
    ++d.exponent;
  }
  if (d.digits.empty()) {
    d.negative = false;
    d.exponent = 0;
  }
  return d;
}

int compare_magnitude(const Decimal& a, const Decimal& b) {
  if (a.digits.empty() || b.digits.empty())
    return static_cast<int>(!a.digits.empty()) - static_cast<int>(!b.digits.empty());
  const std::int64_t top_a = static_cast<std::int64_t>(a.digits.size()) + a.exponent;
  const std::int64_t top_b = static_cast<std::int64_t>(b.digits.size()) + b.exponent;
  if (top_a != top_b) return top_a < top_b ? -1 : 1;
  const int order = a.digits.compare(b.digits);
  return order < 0 ? -1 : (order > 0 ? 1 : 0);
}

int compare_decimals(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int order = compare_magnitude(a, b);
  return a.negative ? -order : order;
}

// Shortest digits that read back as `n` with 64 bits; n is finite and not zero.
std::string shortest(long double n) {
  char buffer[64];
  for (int precision = 0; precision <= 21; ++precision) {
    const int size = std::snprintf(buffer, sizeof buffer, "%.*Le", precision, n);
    if (size > 0 && std::strtold(buffer, nullptr) == n) break;
  }
  return buffer;
}

Result<Value> divide(const Value& a, const Value& b) {
  const auto x = to_bigint(a);
  const auto y = to_bigint(b);
  if (y && y->is_zero()) return fail(Code::kFailedPrecondition, "divide by zero");
  if (x && y && x->remainder(*y).is_zero()) return number(x->quotient(*y));
  Value result = number(to_long_double(a) / to_long_double(b));
  if (result.is_undefined()) return fail(Code::kFailedPrecondition, "division out of range");
  return result;
}

Result<Value> remainder(const Value& a, const Value& b) {
  const auto x = to_bigint(a);
  const auto y = to_bigint(b);
  if (!x || !y) return fail(Code::kFailedPrecondition, "modulo on floating-point number");
  if (y->is_zero()) return fail(Code::kFailedPrecondition, "modulo by zero");
  return number(x->remainder(*y));
}

Result<Value> arithmetic_slow(ArithmeticOp op, const Value& a, const Value& b) {
  const auto x = to_bigint(a);
  const auto y = x ? to_bigint(b) : std::nullopt;
  if (x && y) {
    if (op == ArithmeticOp::kAdd) return number(*x + *y);
    if (op == ArithmeticOp::kSubtract) return number(*x - *y);
    if (x->bits() + y->bits() > 3 * kMaxDigits)
      return fail(Code::kFailedPrecondition, "multiplication out of range");
    return number(*x * *y);
  }
  const long double l = to_long_double(a);
  const long double r = to_long_double(b);
  Value result = op == ArithmeticOp::kAdd        ? number(l + r)
                 : op == ArithmeticOp::kSubtract ? number(l - r)
                                                 : number(l * r);
  if (result.is_undefined()) return fail(Code::kFailedPrecondition, "arithmetic out of range");
  return result;
}

}  // namespace

bool is_json_number(std::string_view text) {
  std::size_t i = 0;
  const auto digit = [&] { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  const auto digits = [&] {
    if (!digit()) return false;
    while (digit()) ++i;
    return true;
  };
  if (i < text.size() && text[i] == '-') ++i;
  if (i < text.size() && text[i] == '0') {
    ++i;
  } else if (!digits()) {
    return false;
  }
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == text.size();
}

Result<Value> parse_number(std::string_view text) {
  if (!is_json_number(text))
    return fail(Code::kInvalidArgument,
                fmt::format("parse number '{}': not a JSON number", text.substr(0, 64)));
  return Value::number_from_literal(text);
}

Value number(const BigInt& n) {
  if (const auto small = n.to_int64()) return Value::integer(*small);
  return Value::number_from_literal(n.to_decimal());
}

Value number(long double n) {
  if (!std::isfinite(n)) return {};
  if (n == 0) return Value::integer(0);
  if (std::fabs(n) < 9e18L && n == std::trunc(n))
    return Value::integer(static_cast<std::int64_t>(n));
  const std::string text = shortest(n);
  const std::size_t e = text.find('e');
  const int exponent = static_cast<int>(std::strtol(text.c_str() + e + 1, nullptr, 10));
  const bool negative = text.front() == '-';
  std::string digits;
  for (const char c : std::string_view(text).substr(0, e))
    if (c >= '0' && c <= '9') digits.push_back(c);
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  std::string out = negative ? "-" : "";
  const int count = static_cast<int>(digits.size());
  if (n == std::trunc(n)) {
    // Go's %f of the shortest digits: zero padded, no exponent.
    out += digits;
    if (exponent + 1 > count) out.append(static_cast<std::size_t>(exponent + 1 - count), '0');
    return Value::number_from_literal(out);
  }
  // Go's %g of the shortest digits: exponent form below -4 and from 6 on.
  if (exponent < -4 || exponent >= 6) {
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    out += fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  } else if (exponent < 0) {
    out += "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  } else {
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    out += digits.substr(0, whole) + "." + digits.substr(whole);
  }
  return Value::number_from_literal(out);
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_small_int() && b.is_small_int())
    return a.small_int() < b.small_int() ? -1 : (a.small_int() > b.small_int() ? 1 : 0);
  // Rounding to double keeps order, so only equal doubles need the exact way.
  const double x = to_double(a);
  const double y = to_double(b);
  if (x < y) return -1;
  if (x > y) return 1;
  return compare_decimals(take_apart(a.number_text()), take_apart(b.number_text()));
}

double to_double(const Value& v) {
  if (v.is_small_int()) return static_cast<double>(v.small_int());
  return v.big_number()->approximate;
}

long double to_long_double(const Value& v) {
  if (v.is_small_int()) return static_cast<long double>(v.small_int());
  return std::strtold(v.big_number()->text.c_str(), nullptr);
}

bool is_integer_literal(const Value& v) {
  if (v.is_small_int()) return true;
  return v.big_number()->text.find_first_of(".eE") == std::string::npos;
}

std::optional<BigInt> to_bigint(const Value& v) {
  if (v.is_small_int()) return BigInt(v.small_int());
  if (is_integer_literal(v)) return BigInt::parse(v.big_number()->text);
  Decimal d = take_apart(v.big_number()->text);
  if (d.digits.empty()) return BigInt(0);
  if (d.exponent < 0) return std::nullopt;
  if (d.exponent + static_cast<std::int64_t>(d.digits.size()) > kMaxDigits) return std::nullopt;
  d.digits.append(static_cast<std::size_t>(d.exponent), '0');
  return BigInt::parse((d.negative ? "-" : "") + d.digits);
}

std::optional<std::int64_t> to_int64(const Value& v) {
  if (v.is_small_int()) return v.small_int();
  if (std::fabs(v.big_number()->approximate) > 1e19) return std::nullopt;
  const auto n = to_bigint(v);
  return n ? n->to_int64() : std::nullopt;
}

Result<Value> arithmetic(ArithmeticOp op, const Value& a, const Value& b) {
  if (a.is_small_int() && b.is_small_int()) {
    const std::int64_t x = a.small_int();
    const std::int64_t y = b.small_int();
    std::int64_t z = 0;
    switch (op) {
      case ArithmeticOp::kAdd:
        if (!__builtin_add_overflow(x, y, &z)) return Value::integer(z);
        break;
      case ArithmeticOp::kSubtract:
        if (!__builtin_sub_overflow(x, y, &z)) return Value::integer(z);
        break;
      case ArithmeticOp::kMultiply:
        if (!__builtin_mul_overflow(x, y, &z)) return Value::integer(z);
        break;
      case ArithmeticOp::kDivide:
        if (y > 0 && x % y == 0) return Value::integer(x / y);
        break;
      case ArithmeticOp::kRemainder:
        if (y > 0) return Value::integer(x % y);
        break;
    }
  }
  if (op == ArithmeticOp::kDivide) return divide(a, b);
  if (op == ArithmeticOp::kRemainder) return remainder(a, b);
  return arithmetic_slow(op, a, b);
}

}  // namespace coffer::policy
