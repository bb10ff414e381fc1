// units.parse and units.parse_bytes: amounts with SI and binary suffixes.

#include <algorithm>
#include <array>
#include <optional>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

// OPA refuses exponents past this, which would expand to numbers of that many digits.
constexpr std::int64_t kMaxExponent = 100'000;
constexpr std::size_t kMaxExponentDigits = 6;

struct Amount {
  std::string number;
  std::string unit;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Splits as OPA does: signs stand anywhere in the number, whose reader then refuses them; an 'e'
// belongs to it when a digit or a sign follows ("1e3K" against "10e"). nullopt when the exponent
// has too many digits.
std::optional<Amount> split(std::string_view text) {
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    if (is_digit(c) || c == '.' || c == '+' || c == '-') continue;
    if (c != 'e' && c != 'E') break;
    const char next = end + 1 < text.size() ? text[end + 1] : '\0';
    const bool is_sign = next == '+' || next == '-';
    if (!is_digit(next) && !is_sign) break;
    if (is_sign) ++end;
    const std::size_t last = std::min(text.find_first_not_of("0123456789", end + 1), text.size());
    if (last - (end + 1) > kMaxExponentDigits) return std::nullopt;
  }
  return Amount{std::string(text.substr(0, end)), std::string(text.substr(end))};
}

// A decimal as digits x 10^exponent, exactly.
struct Decimal {
  BigInt digits;
  std::int64_t exponent = 0;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  std::string digits;
  std::int64_t exponent = 0;
  std::size_t i = 0;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) {
    if (text[i] == '-') digits = "-";
    ++i;
  }
  bool point = false;
  bool any = false;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      if (point) return std::nullopt;
      point = true;
      continue;
    }
    digits += text[i];
    any = true;
    if (point) --exponent;
  }
  if (!any) return std::nullopt;
  if (i < text.size()) {
    std::string_view tail = text.substr(i + 1);
    if (tail.starts_with('+')) tail.remove_prefix(1);
    const auto parsed = BigInt::parse(tail);
    if (!parsed) return std::nullopt;
    const auto small = parsed->to_int64();
    // The caller refuses what is out of range.
    exponent += small ? *small : (parsed->is_negative() ? -kMaxExponent : kMaxExponent) * 2;
  }
  auto value = BigInt::parse(digits);
  if (!value) return std::nullopt;
  return Decimal{*std::move(value), exponent};
}

BigInt power(std::int64_t base, std::int64_t exponent) {
  BigInt result(1);
  BigInt factor(base);
  for (; exponent > 0; exponent >>= 1U) {
    if ((exponent & 1) != 0) result = result * factor;
    factor = factor * factor;
  }
  return result;
}

// unit as {base, power}; nullopt when unknown.
struct Factor {
  std::int64_t base;
  std::int64_t exponent;
};

std::optional<Factor> magnitude(char letter, bool binary) {
  constexpr std::string_view kLetters = "kmgtpe";
  const auto index = kLetters.find(letter);
  if (index == std::string_view::npos) return std::nullopt;
  return Factor{binary ? 1024 : 1000, static_cast<std::int64_t>(index) + 1};
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// "k", "kb", "ki", "kib" and so on, in any case; "" is one byte.
std::optional<Factor> byte_unit(const std::string& unit) {
  const std::string name = lower(unit);
  if (name.empty()) return Factor{1, 0};
  const std::string_view tail = std::string_view(name).substr(1);
  if (tail.empty() || tail == "b") return magnitude(name[0], false);
  if (tail == "i" || tail == "ib") return magnitude(name[0], true);
  return std::nullopt;
}

// "m" is milli and "M" is mega; the rest in any case.
std::optional<Factor> plain_unit(const std::string& unit) {
  if (unit.empty()) return Factor{1, 0};
  if (unit == "m") return Factor{1000, -1};
  const std::string name = lower(unit);
  if (name.size() == 1) return magnitude(name[0], false);
  if (name.size() == 2 && name[1] == 'i') return magnitude(name[0], true);
  return std::nullopt;
}

// digits x 10^exponent x base^power as a number: exact where integral, else rounded like OPA's.
Result<Value> scale(const Decimal& decimal, Factor factor, bool whole_only) {
  BigInt top = decimal.digits;
  BigInt bottom(1);
  const auto apply = [&](std::int64_t base, std::int64_t exponent) {
    if (exponent >= 0) {
      top = top * power(base, exponent);
    } else {
      bottom = bottom * power(base, -exponent);
    }
  };
  apply(factor.base, factor.exponent);
  apply(10, decimal.exponent);
  if (whole_only || top.remainder(bottom).is_zero()) return number(top.quotient(bottom));
  return arithmetic(ArithmeticOp::kDivide, number(top), number(bottom));
}

Result<Value> parse(std::span<const Value> args, bool bytes) {
  COFFER_TRY(const auto raw, string_operand(args, 1));
  std::string text;
  for (const char c : raw) {
    if (c != '"') text += c;
  }
  const std::string amount_word = bytes ? "byte amount" : "amount";
  if (text.find(' ') != std::string::npos) {
    return builtin_error("spaces not allowed in resource strings");
  }
  const auto split_amount = split(text);
  if (!split_amount) return builtin_error("exponent too large");
  const Amount& amount = *split_amount;
  if (amount.number.empty()) return builtin_error("no " + amount_word + " provided");
  const auto factor = bytes ? byte_unit(amount.unit) : plain_unit(amount.unit);
  if (!factor) {
    return builtin_error(bytes ? "byte unit " + amount.unit + " not recognized"
                               : "unit " + amount.unit + " not recognized");
  }
  const auto decimal = parse_decimal(amount.number);
  if (!decimal) return builtin_error("could not parse " + amount_word + " to a number");
  if (decimal->exponent > kMaxExponent || decimal->exponent < -kMaxExponent) {
    return builtin_error("exponent too large");
  }
  return scale(*decimal, *factor, bytes);
}

Result<Value> units_parse(BuiltinContext& /*context*/, std::span<const Value> args) {
  return parse(args, false);
}
Result<Value> units_parse_bytes(BuiltinContext& /*context*/, std::span<const Value> args) {
  return parse(args, true);
}

constexpr std::array<Builtin, 2> kBuiltins = {{
    {"units.parse", 1, units_parse},
    {"units.parse_bytes", 1, units_parse_bytes},
}};

}  // namespace

std::span<const Builtin> units_builtins() { return kBuiltins; }

}  // namespace coffer::policy
