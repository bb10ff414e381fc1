// Strings: search, case, cut, join.
#include <algorithm>

#include "policy/builtins/registry.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

Result<Value> contains(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view part, string_operand(args, 2));
  return Value::boolean(s.find(part) != std::string_view::npos);
}

Result<Value> startswith(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view prefix, string_operand(args, 2));
  return Value::boolean(s.starts_with(prefix));
}

Result<Value> endswith(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view suffix, string_operand(args, 2));
  return Value::boolean(s.ends_with(suffix));
}

Result<Value> concat(BuiltinContext& context, Args args) {
  COFFER_TRY(const std::string_view delimiter, string_operand(args, 1));
  if (!args[1].is_array() && !args[1].is_set())
    return operand_error_one_of(2, "set, array", args[1]);
  std::string out;
  bool first = true;
  for (const Value& item : args[1].items()) {
    if (!item.is_string())
      return type_error("operand 2 must be " + std::string(type_name(args[1].type())) +
                        " of strings but got " + std::string(type_name(args[1].type())) +
                        " containing " + std::string(type_name(item.type())));
    COFFER_TRY_VOID(
        context.check_size(out.size() + delimiter.size() + item.as_string().size(), "concat"));
    if (!first) out += delimiter;
    first = false;
    out += item.as_string();
  }
  return Value::string(out);
}

// Every occurrence; an empty `old` matches between all runes, as in Go.
Result<Value> replace(BuiltinContext& context, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view old, string_operand(args, 2));
  COFFER_TRY(const std::string_view fresh, string_operand(args, 3));
  std::string out;
  if (old.empty()) {
    COFFER_TRY_VOID(context.check_size(s.size() + (s.size() + 1) * fresh.size(), "replace"));
    out += fresh;
    for (std::string_view rest = s; !rest.empty();) {
      const std::uint32_t width = decode_rune(rest).width;
      out += rest.substr(0, width);
      out += fresh;
      rest.remove_prefix(width);
    }
    return Value::string(out);
  }
  std::size_t at = s.find(old);
  if (at == std::string_view::npos) return args[0];
  std::size_t from = 0;
  while (at != std::string_view::npos) {
    out += s.substr(from, at - from);
    out += fresh;
    COFFER_TRY_VOID(context.check_size(out.size(), "replace"));
    from = at + old.size();
    at = s.find(old, from);
  }
  out += s.substr(from);
  return Value::string(out);
}

Result<Value> split(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view separator, string_operand(args, 2));
  std::vector<Value> parts;
  if (separator.empty()) {
    for (std::string_view rest = s; !rest.empty();) {
      const std::uint32_t width = decode_rune(rest).width;
      parts.push_back(Value::string(rest.substr(0, width)));
      rest.remove_prefix(width);
    }
    return Value::array(std::move(parts));
  }
  std::size_t from = 0;
  while (true) {
    const std::size_t at = s.find(separator, from);
    if (at == std::string_view::npos) break;
    parts.push_back(Value::string(s.substr(from, at - from)));
    from = at + separator.size();
  }
  parts.push_back(Value::string(s.substr(from)));
  return Value::array(std::move(parts));
}

// Byte offset of rune number `runes`, or the end.
std::size_t rune_offset(std::string_view s, std::int64_t runes) {
  std::size_t offset = 0;
  while (runes-- > 0 && offset < s.size()) offset += decode_rune(s.substr(offset)).width;
  return offset;
}

Result<Value> substring(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::int64_t start, int_operand(args, 2));
  COFFER_TRY(const std::int64_t length, int_operand(args, 3));
  if (start < 0) return builtin_error("negative offset");
  const bool ascii = is_ascii(s);
  const std::size_t begin =
      ascii ? std::min(static_cast<std::size_t>(start), s.size()) : rune_offset(s, start);
  std::string_view rest = s.substr(begin);
  if (length >= 0)
    rest = rest.substr(0, ascii ? static_cast<std::size_t>(length) : rune_offset(rest, length));
  return Value::string(rest);
}

Result<Value> indexof(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view part, string_operand(args, 2));
  if (part.empty()) return builtin_error("empty search character");
  const std::size_t at = s.find(part);
  if (at == std::string_view::npos) return Value::integer(-1);
  return Value::integer(static_cast<std::int64_t>(count_runes(s.substr(0, at))));
}

bool is_unicode_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

template <typename Drop>
std::string_view trim_left_while(std::string_view s, Drop drop) {
  while (!s.empty()) {
    const Rune rune = decode_rune(s);
    if (!drop(rune.code)) break;
    s.remove_prefix(rune.width);
  }
  return s;
}

template <typename Drop>
std::string_view trim_right_while(std::string_view s, Drop drop) {
  while (!s.empty()) {
    std::size_t start = s.size() - 1;
    while (start > 0 && s.size() - start < 4 &&
           (static_cast<unsigned char>(s[start]) & 0xc0U) == 0x80)
      --start;
    if (start + decode_rune(s.substr(start)).width != s.size()) start = s.size() - 1;
    if (!drop(decode_rune(s.substr(start)).code)) break;
    s = s.substr(0, start);
  }
  return s;
}

Result<Value> trim_cutset(Args args, bool left, bool right) {
  COFFER_TRY(std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view cutset, string_operand(args, 2));
  const auto drop = [cutset](char32_t c) {
    for (std::string_view rest = cutset; !rest.empty();) {
      const Rune rune = decode_rune(rest);
      if (rune.code == c) return true;
      rest.remove_prefix(rune.width);
    }
    return false;
  };
  if (left) s = trim_left_while(s, drop);
  if (right) s = trim_right_while(s, drop);
  return Value::string(s);
}

Result<Value> trim(BuiltinContext&, Args args) { return trim_cutset(args, true, true); }
Result<Value> trim_left(BuiltinContext&, Args args) { return trim_cutset(args, true, false); }
Result<Value> trim_right(BuiltinContext&, Args args) { return trim_cutset(args, false, true); }

Result<Value> trim_prefix(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view prefix, string_operand(args, 2));
  return s.starts_with(prefix) ? Value::string(s.substr(prefix.size())) : args[0];
}

Result<Value> trim_suffix(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  COFFER_TRY(const std::string_view suffix, string_operand(args, 2));
  return s.ends_with(suffix) ? Value::string(s.substr(0, s.size() - suffix.size())) : args[0];
}

Result<Value> trim_space(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  return Value::string(trim_right_while(trim_left_while(s, is_unicode_space), is_unicode_space));
}

Result<Value> reverse(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view s, string_operand(args, 1));
  std::string out;
  for (std::string_view rest = s; !rest.empty();) {
    const std::uint32_t width = decode_rune(rest).width;
    out.insert(0, rest.substr(0, width));
    rest.remove_prefix(width);
  }
  return Value::string(out);
}

constexpr Builtin kTable[] = {
    {"contains", 2, contains},       {"startswith", 2, startswith}, {"endswith", 2, endswith},
    {"concat", 2, concat},           {"replace", 3, replace},       {"split", 2, split},
    {"substring", 3, substring},     {"indexof", 2, indexof},       {"trim", 2, trim},
    {"trim_left", 2, trim_left},     {"trim_right", 2, trim_right}, {"trim_prefix", 2, trim_prefix},
    {"trim_suffix", 2, trim_suffix}, {"trim_space", 1, trim_space}, {"strings.reverse", 1, reverse},
};

}  // namespace

std::span<const Builtin> string_builtins() { return kTable; }

}  // namespace coffer::policy
