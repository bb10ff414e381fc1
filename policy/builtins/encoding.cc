// base64.*, base64url.*, hex.* and urlquery.*, with the leniency of Go's decoders: line breaks are
// skipped and unused trailing bits ignored.

#include <array>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/percent.h"
#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"

namespace coffer::policy {
namespace {

std::string pad(std::string text) {
  while (text.size() % 4 != 0) text += '=';
  return text;
}

int sextet(char c, bool url) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == (url ? '-' : '+')) return 62;
  if (c == (url ? '_' : '/')) return 63;
  return -1;
}

// Padded input; nullopt when it is not base64.
std::optional<std::string> decode_base64(std::string_view encoded, bool url) {
  std::string text;
  for (const char c : encoded) {
    if (c != '\r' && c != '\n') text += c;
  }
  if (text.size() % 4 != 0) return std::nullopt;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.pop_back();
  std::string out;
  std::uint32_t buffer = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const int value = sextet(c, url);
    if (value < 0) return std::nullopt;
    buffer = (buffer << 6U) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(buffer >> bits);
    }
  }
  return out;
}

Result<Value> decode_or_fail(std::optional<std::string> decoded) {
  if (!decoded) return builtin_error("illegal base64 data");
  return Value::string(*decoded);
}

Result<Value> base64_encode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return Value::string(to_base64(as_bytes(text)));
}

Result<Value> base64_decode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return decode_or_fail(decode_base64(text, false));
}

Result<Value> base64_is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return Value::boolean(decode_base64(text, false).has_value());
}

Result<Value> base64url_encode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return Value::string(pad(to_base64url(as_bytes(text))));
}

Result<Value> base64url_encode_no_pad(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return Value::string(to_base64url(as_bytes(text)));
}

Result<Value> base64url_decode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return decode_or_fail(decode_base64(pad(std::string(text)), true));
}

Result<Value> hex_encode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return Value::string(to_hex(as_bytes(text)));
}

Result<Value> hex_decode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  const auto bytes = from_hex(text);
  if (!bytes) return builtin_error(bytes.error().message());
  return Value::string(as_text(*bytes));
}

// application/x-www-form-urlencoded, as Go's url.QueryEscape.
std::string query_escape(std::string_view text) {
  constexpr std::string_view kUnreserved = "-_.~";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool alphanumeric =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const auto byte = static_cast<std::uint8_t>(c);
    if (alphanumeric || kUnreserved.find(c) != std::string_view::npos) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 0xFU];
    }
  }
  return out;
}

Result<Value> urlquery_encode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return Value::string(query_escape(text));
}

Result<std::string> query_unescape(std::string_view text) {
  auto plain = percent_decoded(text, Plus::kIsBlank);
  if (!plain) return builtin_error(plain.error().message());
  return plain;
}

Result<Value> urlquery_decode(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  COFFER_TRY(const std::string plain, query_unescape(text));
  return Value::string(plain);
}

Status append_pair(std::string& out, const Value& key, const Value& value) {
  if (!value.is_string()) {
    return type_error("operand 1 values must be string, array[string], or set[string]");
  }
  if (!out.empty()) out += '&';
  out += query_escape(key.as_string()) + "=" + query_escape(value.as_string());
  return {};
}

Result<Value> urlquery_encode_object(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY_VOID(require_type(args, 1, Type::kObject));
  std::string out;
  for (const Entry& entry : args[0].entries()) {
    if (!entry.key.is_string()) return type_error("operand 1 keys must be string");
    if (entry.value.is_array() || entry.value.is_set()) {
      for (const Value& item : entry.value.items()) {
        COFFER_TRY_VOID(append_pair(out, entry.key, item));
      }
    } else {
      COFFER_TRY_VOID(append_pair(out, entry.key, entry.value));
    }
  }
  return Value::string(out);
}

Result<Value> urlquery_decode_object(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(std::string_view rest, string_operand(args, 1));
  std::map<std::string, std::vector<Value>> values;
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (pair.empty()) continue;
    if (pair.find(';') != std::string_view::npos) {
      return builtin_error("invalid semicolon separator in query");
    }
    const auto equals = pair.find('=');
    COFFER_TRY(std::string key, query_unescape(pair.substr(0, equals)));
    COFFER_TRY(const std::string value,
               query_unescape(equals == std::string_view::npos ? "" : pair.substr(equals + 1)));
    values[std::move(key)].push_back(Value::string(value));
  }
  ObjectBuilder object;
  for (auto& [key, list] : values) object.add(key, Value::array(std::move(list)));
  return object.build();
}

constexpr std::array<Builtin, 12> kBuiltins = {{
    {"base64.encode", 1, base64_encode},
    {"base64.decode", 1, base64_decode},
    {"base64.is_valid", 1, base64_is_valid},
    {"base64url.encode", 1, base64url_encode},
    {"base64url.encode_no_pad", 1, base64url_encode_no_pad},
    {"base64url.decode", 1, base64url_decode},
    {"hex.encode", 1, hex_encode},
    {"hex.decode", 1, hex_decode},
    {"urlquery.encode", 1, urlquery_encode},
    {"urlquery.decode", 1, urlquery_decode},
    {"urlquery.encode_object", 1, urlquery_encode_object},
    {"urlquery.decode_object", 1, urlquery_decode_object},
}};

}  // namespace

std::span<const Builtin> encoding_builtins() { return kBuiltins; }

}  // namespace coffer::policy
