// uri.parse and uri.is_valid, by the rules of Go's net/url.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.h"
#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"

namespace coffer::policy {
namespace {

struct Uri {
  std::string scheme, username, password, hostname, port, path, raw_path, raw_query, fragment;
};

bool is_alpha(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<Error> bad(std::string message) { return builtin_error(std::move(message)); }

enum class Part { kOther, kHost, kZone };

// Whether `c` may stand in a host as it is.
bool plain_in_host(char c) {
  constexpr std::string_view kMarks = "-_.~!$&'()*+,;=:[]<>\"";
  return is_alpha(c) || is_digit(c) || kMarks.find(c) != std::string_view::npos;
}

// In a host only bytes past ASCII may be escaped; in a zone '%', ' ' and what needs no escape, too.
bool may_be_escaped(char c, Part part) {
  if (part == Part::kOther || static_cast<unsigned char>(c) >= 0x80) return true;
  return part == Part::kZone && (c == '%' || c == ' ' || plain_in_host(c));
}

Result<std::string> unescape(std::string_view text, Part part) {
  constexpr std::string_view kHostForbidden = "<> \"{}^`|\\";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (part != Part::kOther && kHostForbidden.find(text[i]) != std::string_view::npos) {
        return bad(fmt::format("invalid character \"{}\" in host name", text[i]));
      }
      out += text[i];
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1 || !may_be_escaped(static_cast<char>((*byte)[0]), part)) {
      return bad(fmt::format("invalid URL escape \"{}\"", text.substr(i, 3)));
    }
    out += static_cast<char>((*byte)[0]);
    i += 2;
  }
  return out;
}

bool valid_userinfo(std::string_view text) {
  constexpr std::string_view kAllowed = "-._:~!$&'()*+,;=%@";
  for (const char c : text) {
    if (!is_alpha(c) && !is_digit(c) && kAllowed.find(c) == std::string_view::npos) return false;
  }
  return true;
}

bool valid_port(std::string_view text) {
  return text.empty() || (text[0] == ':' &&
                          text.substr(1).find_first_not_of("0123456789") == std::string_view::npos);
}

Status parse_host(Uri& uri, std::string_view host) {
  if (host.starts_with('[')) {
    const auto close = host.rfind(']');
    if (close == std::string_view::npos) return bad("missing ']' in host");
    const std::string_view port = host.substr(close + 1);
    if (!valid_port(port)) return bad(fmt::format("invalid port \"{}\" after host", port));
    const std::string_view address = host.substr(1, close - 1);
    const std::size_t zone = std::min(address.find("%25"), address.size());
    COFFER_TRY(uri.hostname, unescape(address.substr(0, zone), Part::kHost));
    COFFER_TRY(const std::string suffix, unescape(address.substr(zone), Part::kZone));
    uri.hostname += suffix;
    if (!port.empty()) uri.port = port.substr(1);
    return {};
  }
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = host.substr(colon);
    if (!valid_port(port)) return bad(fmt::format("invalid port \"{}\" after host", port));
    uri.port = port.substr(1);
    host = host.substr(0, colon);
  }
  COFFER_TRY(uri.hostname, unescape(host, Part::kHost));
  return {};
}

Status parse_authority(Uri& uri, std::string_view authority) {
  const auto at = authority.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = authority.substr(0, at);
    if (!valid_userinfo(user)) return bad("net/url: invalid userinfo");
    const auto colon = user.find(':');
    COFFER_TRY(uri.username, unescape(user.substr(0, colon), Part::kOther));
    if (colon != std::string_view::npos) {
      COFFER_TRY(uri.password, unescape(user.substr(colon + 1), Part::kOther));
    }
    authority.remove_prefix(at + 1);
  }
  return parse_host(uri, authority);
}

// The scheme and what follows it; no scheme when the text does not start with one.
Result<std::string_view> take_scheme(Uri& uri, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_alpha(c)) continue;
    if (is_digit(c) || c == '+' || c == '-' || c == '.') {
      if (i == 0) return text;
      continue;
    }
    if (c == ':') {
      if (i == 0) return bad("missing protocol scheme");
      for (const char letter : text.substr(0, i)) {
        uri.scheme += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
      }
      return text.substr(i + 1);
    }
    return text;
  }
  return text;
}

// Go's shouldEscape for a path: whether escaping `path` gives `raw` again.
bool default_encoding(std::string_view path, std::string_view raw) {
  constexpr std::string_view kPlain = "-_.~$&+,/:;=@";
  std::string escaped;
  for (const char c : path) {
    if (is_alpha(c) || is_digit(c) || kPlain.find(c) != std::string_view::npos) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<std::uint8_t>(c));
    }
  }
  return escaped == raw;
}

Result<Uri> parse(std::string_view text) {
  Uri uri;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x20 || byte == 0x7F) return bad("net/url: invalid control character in URL");
  }
  const auto hash = text.find('#');
  if (hash != std::string_view::npos) {
    COFFER_TRY(uri.fragment, unescape(text.substr(hash + 1), Part::kOther));
    text = text.substr(0, hash);
  }
  COFFER_TRY(std::string_view rest, take_scheme(uri, text));
  const auto question = rest.find('?');
  if (question != std::string_view::npos) {
    uri.raw_query = rest.substr(question + 1);
    rest = rest.substr(0, question);
  }
  if (!rest.starts_with('/') && !uri.scheme.empty()) return uri;  // opaque
  if (!rest.starts_with('/') &&
      rest.substr(0, rest.find('/')).find(':') != std::string_view::npos) {
    return bad("first path segment in URL cannot contain colon");
  }
  if (rest.starts_with("//") && !(uri.scheme.empty() && rest.starts_with("///"))) {
    const auto slash = rest.find('/', 2);
    COFFER_TRY_VOID(parse_authority(
        uri, rest.substr(2, slash == std::string_view::npos ? std::string_view::npos : slash - 2)));
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  }
  COFFER_TRY(uri.path, unescape(rest, Part::kOther));
  uri.raw_path = default_encoding(uri.path, rest) ? uri.path : std::string(rest);
  return uri;
}

Result<Value> uri_parse(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  const auto uri = parse(text);
  if (!uri) return builtin_error(fmt::format("parse \"{}\": {}", text, uri.error().message()));
  ObjectBuilder object;
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) object.add(key, Value::string(value));
  };
  add("scheme", uri->scheme);
  add("username", uri->username);
  add("password", uri->password);
  add("hostname", uri->hostname);
  add("port", uri->port);
  add("path", uri->path);
  add("raw_path", uri->raw_path);
  add("raw_query", uri->raw_query);
  add("fragment", uri->fragment);
  return object.build();
}

Result<Value> uri_is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::boolean(args[0].is_string() && parse(args[0].as_string()).has_value());
}

constexpr std::array<Builtin, 2> kBuiltins = {{
    {"uri.parse", 1, uri_parse},
    {"uri.is_valid", 1, uri_is_valid},
}};

}  // namespace

std::span<const Builtin> uri_builtins() { return kBuiltins; }

}  // namespace coffer::policy
