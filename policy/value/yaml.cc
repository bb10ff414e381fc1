#include "policy/value/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

// Nodes visited, aliases expanded at each use: aliases can double at each level.
constexpr std::size_t kMaxNodes = 1'000'000;

std::unexpected<Error> bad(std::string_view what, std::string message) {
  return fail(Code::kInvalidArgument, fmt::format("parse {}: yaml: {}", what, message));
}

template <std::size_t N>
bool is_one_of(std::string_view text, const std::string_view (&words)[N]) {
  return std::ranges::find(words, text) != std::end(words);
}

std::optional<Value> integer_scalar(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != '_') digits += c;
  }
  std::string_view rest = digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  int base = 10;
  if (rest.size() > 2 && rest[0] == '0') {
    if (rest[1] == 'x') base = 16;
    if (rest[1] == 'o') base = 8;
    if (rest[1] == 'b') base = 2;
    if (base != 10) rest.remove_prefix(2);
  }
  if (base == 10 && rest.size() > 1 && rest[0] == '0') base = 8;
  if (rest.empty()) return std::nullopt;
  std::uint64_t magnitude = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), magnitude, base);
  if (error != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
  const BigInt value = *BigInt::parse(fmt::format("{}{}", negative ? "-" : "", magnitude));
  return number(value);
}

std::optional<Value> float_scalar(std::string_view text) {
  if (text.find_first_not_of("0123456789+-.eE_") != std::string_view::npos) return std::nullopt;
  std::string digits;
  for (const char c : text) {
    if (c != '_') digits += c;
  }
  if (digits.find_first_of("0123456789") == std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  if (*end != '\0' || value > 1.7976931348623157e308 || value < -1.7976931348623157e308) {
    return std::nullopt;
  }
  return Value::number_from_literal(fmt::format("{}", value));  // shortest, as Go's JSON
}

// A plain scalar by the rules of YAML 1.1 as Go's library has them: y and n are strings.
Value plain_scalar(std::string_view text) {
  static constexpr std::string_view kNulls[] = {"", "~", "null", "Null", "NULL"};
  static constexpr std::string_view kTrue[] = {"true", "True", "TRUE", "yes", "Yes",
                                               "YES",  "on",   "On",   "ON"};
  static constexpr std::string_view kFalse[] = {"false", "False", "FALSE", "no", "No",
                                                "NO",    "off",   "Off",   "OFF"};
  if (is_one_of(text, kNulls)) return Value::null();
  if (is_one_of(text, kTrue)) return Value::boolean(true);
  if (is_one_of(text, kFalse)) return Value::boolean(false);
  if (auto integer = integer_scalar(text)) return *std::move(integer);
  if (auto real = float_scalar(text)) return *std::move(real);
  return Value::string(text);
}

// What may stand in a document (YAML 1.1, 5.1), which yaml-cpp does not look at.
bool is_allowed(char32_t code) {
  if (code == U'\t' || code == U'\n' || code == U'\r' || code == 0x85) return true;
  const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  return !control && code != 0xFFFE && code != 0xFFFF;
}

Status check_characters(std::string_view text, std::string_view what) {
  if (!is_utf8(text)) return bad(what, "invalid UTF-8");
  for (std::string_view rest = text; !rest.empty();) {
    const Rune rune = decode_rune(rest);
    if (!is_allowed(rune.code)) return bad(what, "control characters are not allowed");
    rest.remove_prefix(rune.width);
  }
  return {};
}

// yaml-cpp reads the escapes \N and \_ as the bytes 0x85 and 0xA0 instead of their UTF-8.
std::string repaired(const std::string& text) {
  if (is_utf8(text)) return text;
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const Rune rune = decode_rune(rest);
    const bool invalid = rune.code == U'\uFFFD' && rune.width == 1;
    append_rune(out, invalid ? static_cast<unsigned char>(rest.front()) : rune.code);
    rest.remove_prefix(rune.width);
  }
  return out;
}

class Converter {
 public:
  Converter(std::string_view what, std::uint32_t max_depth) : what_(what), max_depth_(max_depth) {}

  // Recursion is bounded by max_depth.
  Result<Value> convert(const YAML::Node& node, std::uint32_t depth) {
    if (++nodes_ > kMaxNodes) return bad(what_, "document contains excessive aliasing");
    if (depth > max_depth_) {
      return bad(what_, fmt::format("nested deeper than {} levels", max_depth_));
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return scalar(node);
      case YAML::NodeType::Sequence:
        return sequence(node, depth);
      case YAML::NodeType::Map:
        return mapping(node, depth);
      default:
        return Value::null();
    }
  }

 private:
  // A quoted scalar carries the tag "!", a plain one "?".
  static Value scalar(const YAML::Node& node) {
    const std::string& tag = node.Tag();
    if (tag == "!" || tag == "tag:yaml.org,2002:str" || tag == "tag:yaml.org,2002:binary") {
      return Value::string(repaired(node.Scalar()));
    }
    return plain_scalar(node.Scalar());
  }

  Result<Value> sequence(const YAML::Node& node, std::uint32_t depth) {
    std::vector<Value> items;
    for (const YAML::Node& item : node) {
      COFFER_TRY(items.emplace_back(), convert(item, depth + 1));
    }
    return Value::array(std::move(items));
  }

  Result<Value> mapping(const YAML::Node& node, std::uint32_t depth) {
    ObjectBuilder object;
    ObjectBuilder merged;
    for (const auto& entry : node) {
      const bool merge =
          entry.first.IsScalar() && entry.first.Scalar() == "<<" && entry.first.Tag() != "!";
      COFFER_TRY(Value value, convert(entry.second, depth + 1));
      if (merge) {
        COFFER_TRY_VOID(add_merge(merged, value));
        continue;
      }
      COFFER_TRY(Value key, convert(entry.first, depth + 1));
      if (key.is_composite()) return bad(what_, "a mapping's key is no scalar");
      // Documents are JSON documents: keys are strings.
      if (!key.is_string()) key = Value::string(key.is_null() ? "null" : to_json(key));
      object.add(std::move(key), std::move(value));
    }
    // Of equal keys the last one stays: what stands in the mapping itself comes after the merged.
    const Value own = object.build();
    if (merged.size() == 0) return own;
    for (const Entry& entry : own.entries()) merged.add(entry.key, entry.value);
    return merged.build();
  }

  Status add_merge(ObjectBuilder& merged, const Value& value) {
    if (value.is_array()) {
      // Earlier ones win over later ones.
      for (std::size_t i = value.size(); i-- > 0;) {
        COFFER_TRY_VOID(add_merge_object(merged, value.items()[i]));
      }
      return {};
    }
    return add_merge_object(merged, value);
  }

  Status add_merge_object(ObjectBuilder& merged, const Value& value) {
    if (!value.is_object()) return bad(what_, "map merge requires map or sequence of maps");
    for (const Entry& entry : value.entries()) merged.add(entry.key, entry.value);
    return {};
  }

  std::string_view what_;
  std::uint32_t max_depth_;
  std::size_t nodes_ = 0;
};

bool plain_safe(std::string_view text) {
  constexpr std::string_view kSafe =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-";
  if (text.empty() || text.front() == '-' || text.front() == '.' || text.front() == '/') {
    return false;
  }
  return text.find_first_not_of(kSafe) == std::string_view::npos &&
         plain_scalar(text).is_string() && text != "y" && text != "n" && text != "Y" && text != "N";
}

// As JSON, but for what YAML does not allow as it is or would take for a line break.
std::string quoted(const Value& value) {
  const std::string json = to_json(value);
  std::string out;
  for (std::string_view rest = json; !rest.empty();) {
    const Rune rune = decode_rune(rest);
    const bool line_break = rune.code == 0x85 || rune.code == 0x2028 || rune.code == 0x2029;
    if (is_allowed(rune.code) && !line_break && rune.code != 0xFEFF) {
      out += rest.substr(0, rune.width);
    } else {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(rune.code));
    }
    rest.remove_prefix(rune.width);
  }
  return out;
}

std::string scalar_text(const Value& value) {
  if (!value.is_string()) return to_json(value);
  return plain_safe(value.as_string()) ? std::string(value.as_string()) : quoted(value);
}

// Recursion is bounded by the depth of values.
void emit(std::string& out, const Value& value, std::size_t indent, bool after_key) {
  const std::string margin(indent, ' ');
  if (value.size() == 0) {
    const std::string text = value.is_object()      ? "{}"
                             : value.is_composite() ? "[]"
                                                    : scalar_text(value);
    out += text + "\n";
    return;
  }
  // The first entry of a composite inside a sequence stands on the dash's line.
  bool first_inline = !after_key;
  if (after_key) out += "\n";
  const auto start_line = [&] {
    if (!first_inline) out += margin;
    first_inline = false;
  };
  if (value.is_object()) {
    for (const Entry& entry : value.entries()) {
      start_line();
      out += entry.key.is_string() ? scalar_text(entry.key)
                                   : scalar_text(Value::string(to_json(entry.key)));
      out += ":";
      const bool nested = entry.value.size() > 0;
      if (!nested) out += " ";
      emit(out, entry.value, entry.value.is_object() ? indent + 2 : indent, nested);
    }
    return;
  }
  for (const Value& item : value.items()) {
    start_line();
    out += "- ";
    emit(out, item, indent + 2, false);
  }
}

}  // namespace

Result<Value> parse_yaml(std::string_view text, std::string_view what, const JsonOptions& options) {
  if (text.size() > options.max_bytes) {
    return fail(Code::kResourceExhausted, fmt::format("parse {}: {} bytes, the limit is {}", what,
                                                      text.size(), options.max_bytes));
  }
  COFFER_TRY_VOID(check_characters(text, what));
  try {
    return Converter(what, options.max_depth).convert(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& error) {
    return bad(what, fmt::format("line {}: did not find what was expected: {}", error.mark.line + 1,
                                 error.msg));
  } catch (const std::exception& error) {
    return bad(what, error.what());
  }
}

std::string to_yaml(const Value& value) {
  std::string out;
  emit(out, value, 0, false);
  return out;
}

}  // namespace coffer::policy
