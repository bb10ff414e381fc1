// Strings beyond the core: case, counting, matching of many, replacing of many, splitting, integers
// in a base.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

// Simple case mapping of what has one: ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic.
char32_t to_lower(char32_t c) {
  if (c >= U'A' && c <= U'Z') return c + 32;
  if ((c >= 0xC0 && c <= 0xDE && c != 0xD7)) return c + 32;
  if (c >= 0x100 && c <= 0x137 && c != 0x130) return c | 1U;
  if (c >= 0x139 && c <= 0x148) return c % 2 == 1 ? c + 1 : c;
  if (c >= 0x14A && c <= 0x177) return c | 1U;
  if (c == 0x178) return 0xFF;
  if (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  return c;
}

char32_t to_upper(char32_t c) {
  if (c >= U'a' && c <= U'z') return c - 32;
  if (c == 0xB5) return 0x39C;
  if (c >= 0xE0 && c <= 0xFE && c != 0xF7) return c - 32;
  if (c == 0xFF) return 0x178;
  if (c >= 0x100 && c <= 0x137 && c != 0x131) return c & ~char32_t{1};
  if (c >= 0x139 && c <= 0x148) return c % 2 == 0 ? c - 1 : c;
  if (c >= 0x14A && c <= 0x177) return c & ~char32_t{1};
  if (c == 0x3C2) return 0x3A3;
  if (c >= 0x3B1 && c <= 0x3C9) return c - 32;
  if (c >= 0x430 && c <= 0x44F) return c - 32;
  if (c >= 0x450 && c <= 0x45F) return c - 80;
  return c;
}

template <char32_t (*Map)(char32_t)>
Result<Value> map_runes(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(std::string_view text, string_operand(args, 1));
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    append_rune(out, Map(rune.code));
    text.remove_prefix(rune.width);
  }
  return Value::string(out);
}

Result<Value> indexof_n(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  COFFER_TRY(const auto needle, string_operand(args, 2));
  if (needle.empty()) return builtin_error("empty search character");
  std::vector<Value> found;
  std::int64_t runes = 0;
  std::size_t counted = 0;
  for (auto at = text.find(needle); at != std::string_view::npos;
       at = text.find(needle, at + decode_rune(text.substr(at)).width)) {
    runes += static_cast<std::int64_t>(count_runes(text.substr(counted, at - counted)));
    counted = at;
    found.push_back(Value::integer(runes));
  }
  return Value::array(std::move(found));
}

Result<Value> count(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  COFFER_TRY(const auto needle, string_operand(args, 2));
  if (needle.empty()) {
    return Value::integer(static_cast<std::int64_t>(count_runes(text)) + 1);
  }
  std::int64_t found = 0;
  for (auto at = text.find(needle); at != std::string_view::npos;
       at = text.find(needle, at + needle.size())) {
    ++found;
  }
  return Value::integer(found);
}

Result<Value> format_int(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kNumber));
  if (!args[1].is_number()) return operand_error(2, "number", args[1]);
  const auto base = to_int64(args[1]);
  if (!base || (*base != 2 && *base != 8 && *base != 10 && *base != 16)) {
    return type_error("operand 2 must be one of {2, 8, 10, 16}");
  }
  auto integer = to_bigint(args[0]);
  if (!integer) {
    // Truncated towards zero, as Go's big.Float.Int.
    const Value whole = number(std::trunc(to_long_double(args[0])));
    integer = whole.defined() ? to_bigint(whole) : std::nullopt;
    if (!integer) return builtin_error("the number is out of range");
  }
  return Value::string(integer->to_base(static_cast<unsigned>(*base)));
}

// A string, or an array or a set of strings.
Result<std::vector<std::string_view>> strings_operand(std::span<const Value> args,
                                                      std::size_t position) {
  const Value& operand = args[position - 1];
  if (operand.is_string()) return std::vector<std::string_view>{operand.as_string()};
  if (!operand.is_array() && !operand.is_set()) {
    return operand_error_one_of(position, "string, set, array", operand);
  }
  std::vector<std::string_view> found;
  for (const Value& item : operand.items()) {
    if (!item.is_string()) {
      const std::string_view kind = type_name(operand.type());
      return type_error(fmt::format("operand {} must be {} of strings but got {} containing {}",
                                    position, kind, kind, type_name(item.type())));
    }
    found.push_back(item.as_string());
  }
  return found;
}

template <bool Prefix>
Result<Value> any_match(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto texts, strings_operand(args, 1));
  COFFER_TRY(const auto parts, strings_operand(args, 2));
  const bool any = std::ranges::any_of(texts, [&](std::string_view text) {
    return std::ranges::any_of(parts, [&](std::string_view part) {
      return Prefix ? text.starts_with(part) : text.ends_with(part);
    });
  });
  return Value::boolean(any);
}

// Go's strings.Replacer: at each place the first pattern (in key order) that fits is replaced.
Result<Value> replace_n(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  std::vector<std::pair<std::string_view, std::string_view>> patterns;
  for (const Entry& entry : args[0].entries()) {
    if (!entry.key.is_string()) {
      return type_error("operand 1 non-string key found in pattern object");
    }
    if (!entry.value.is_string()) {
      return type_error("operand 1 non-string value found in pattern object");
    }
    patterns.emplace_back(entry.key.as_string(), entry.value.as_string());
  }
  COFFER_TRY(const auto text, string_operand(args, 2));
  std::string out;
  bool empty_allowed = true;
  for (std::size_t at = 0; at <= text.size();) {
    const std::string_view rest = text.substr(at);
    const auto fits = std::ranges::find_if(patterns, [&](const auto& pattern) {
      return rest.starts_with(pattern.first) && (!pattern.first.empty() || empty_allowed);
    });
    empty_allowed = true;
    if (fits != patterns.end()) {
      out += fits->second;
      COFFER_TRY_VOID(context.check_size(out.size(), "strings.replace_n"));
      at += fits->first.size();
      if (!fits->first.empty()) continue;
      // An empty pattern has been served here: the character itself comes next.
      empty_allowed = false;
      continue;
    }
    if (at == text.size()) break;
    const std::size_t width = decode_rune(rest).width;
    out += rest.substr(0, width);
    at += width;
  }
  return Value::string(out);
}

std::vector<std::string_view> split_text(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  if (separator.empty()) {
    while (!text.empty()) {
      const std::size_t width = decode_rune(text).width;
      parts.push_back(text.substr(0, width));
      text.remove_prefix(width);
    }
    return parts;
  }
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

// The first n parts, or for a negative n the last -n.
Result<Value> split_n(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  COFFER_TRY(const auto separator, string_operand(args, 2));
  COFFER_TRY(const std::int64_t n, int_operand(args, 3));
  std::vector<std::string_view> parts = split_text(text, separator);
  const auto have = static_cast<std::int64_t>(parts.size());
  if (n >= 0 && n < have) parts.resize(static_cast<std::size_t>(n));
  if (n < 0 && n > -have) parts.erase(parts.begin(), parts.end() + n);
  std::vector<Value> values;
  for (const std::string_view part : parts) values.push_back(Value::string(part));
  return Value::array(std::move(values));
}

constexpr std::array<Builtin, 9> kBuiltins = {{
    {"lower", 1, map_runes<to_lower>},
    {"upper", 1, map_runes<to_upper>},
    {"indexof_n", 2, indexof_n},
    {"format_int", 2, format_int},
    {"strings.count", 2, count},
    {"strings.any_prefix_match", 2, any_match<true>},
    {"strings.any_suffix_match", 2, any_match<false>},
    {"strings.replace_n", 2, replace_n},
    {"strings.split_n", 3, split_n},
}};

}  // namespace

std::span<const Builtin> text_builtins() { return kBuiltins; }

}  // namespace coffer::policy
