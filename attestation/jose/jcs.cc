#include "attestation/jose/jcs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/utf8.h"

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;
// Past this, doubles do not tell integers apart.
constexpr std::int64_t kMaxExactInteger = std::int64_t{1} << 53U;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("canonicalise JSON: {}", why));
}

// UTF-8 sorts by code point. UTF-16 does too, but for U+E000 to U+FFFF (lead bytes EE and EF),
// which come after the surrogates of what lies above (lead bytes F0 to F4).
unsigned utf16_rank(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0xEE || byte == 0xEF ? byte + 0x100U : byte;
}

bool utf16_less(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return utf16_rank(x) < utf16_rank(y); });
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      break;
  }
  if (static_cast<unsigned char>(c) < 0x20U) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  } else {
    out += c;
  }
}

Status append_string(std::string& out, std::string_view text) {
  if (!is_utf8(text)) return refuse("a string is not UTF-8");
  out += '"';
  for (const char c : text) append_escaped(out, c);
  out += '"';
  return {};
}

Status append_number(std::string& out, const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    out += number <= std::uint64_t{kMaxExactInteger}
               ? fmt::to_string(number)
               : ecmascript_number(static_cast<double>(number));
    return {};
  }
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    out += number >= -kMaxExactInteger && number <= kMaxExactInteger
               ? fmt::to_string(number)
               : ecmascript_number(static_cast<double>(number));
    return {};
  }
  const auto number = value.get<double>();
  if (!std::isfinite(number)) return refuse("a number is not finite");
  out += ecmascript_number(number);
  return {};
}

Status append(std::string& out, const Json& value, int depth);

Status append_object(std::string& out, const Json& value, int depth) {
  std::vector<std::pair<std::string_view, const Json*>> members;
  members.reserve(value.size());
  for (const auto& [key, member] : value.items()) members.emplace_back(key, &member);
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return utf16_less(a.first, b.first); });
  char separator = '{';
  for (const auto& [key, member] : members) {
    out += separator;
    separator = ',';
    COFFER_TRY_VOID(append_string(out, key));
    out += ':';
    COFFER_TRY_VOID(append(out, *member, depth + 1));
  }
  if (members.empty()) out += '{';
  out += '}';
  return {};
}

Status append_array(std::string& out, const Json& value, int depth) {
  out += '[';
  bool first = true;
  for (const auto& element : value) {
    if (!first) out += ',';
    first = false;
    COFFER_TRY_VOID(append(out, element, depth + 1));
  }
  out += ']';
  return {};
}

Status append(std::string& out, const Json& value, int depth) {
  if (depth > kMaxDepth) return refuse(fmt::format("nested deeper than {} levels", kMaxDepth));
  switch (value.type()) {
    case Json::value_t::null:
      out += "null";
      return {};
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return {};
    case Json::value_t::string:
      return append_string(out, value.get_ref<const std::string&>());
    case Json::value_t::object:
      return append_object(out, value, depth);
    case Json::value_t::array:
      return append_array(out, value, depth);
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return append_number(out, value);
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return refuse("a value has no JSON form");
}

// The shortest digits that read back as the number, and the exponent n of 0.DIGITS * 10^n.
struct Decimal {
  std::string digits;
  int n = 0;
};

Decimal shortest(double number) {
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                          std::chars_format::scientific);
  check(error == std::errc(), "32 characters hold every double");
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const auto e = text.find('e');
  Decimal out;
  for (const char c : text.substr(0, e)) {
    if (c != '.') out.digits += c;
  }
  const auto exponent_text = text.substr(e + (text[e + 1] == '+' ? 2 : 1));
  int exponent = 0;
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  out.n = exponent + 1;
  return out;
}

std::string unsigned_form(const Decimal& decimal) {
  const auto& digits = decimal.digits;
  const int k = static_cast<int>(digits.size());
  const int n = decimal.n;
  if (k <= n && n <= 21) return digits + std::string(static_cast<std::size_t>(n - k), '0');
  if (0 < n && n <= 21) {
    const auto whole = static_cast<std::size_t>(n);
    return digits.substr(0, whole) + "." + digits.substr(whole);
  }
  if (-6 < n && n <= 0) return "0." + std::string(static_cast<std::size_t>(-n), '0') + digits;
  const std::string fraction = k == 1 ? "" : "." + digits.substr(1);
  return fmt::format("{}{}e{}{}", digits[0], fraction, n - 1 < 0 ? "-" : "+", std::abs(n - 1));
}

}  // namespace

std::string ecmascript_number(double number) {
  if (number == 0) return "0";
  if (number < 0) return "-" + unsigned_form(shortest(-number));
  return unsigned_form(shortest(number));
}

Result<std::string> canonical_json(const nlohmann::json& value) {
  std::string out;
  COFFER_TRY_VOID(append(out, value, 0));
  return out;
}

}  // namespace coffer::jose
