// io.jwt.*: JSON Web Tokens in compact form (RFC 7519, RFC 7515).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "policy/builtins/families.h"
#include "policy/builtins/keys.h"
#include "policy/value/json.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

struct Token {
  std::array<std::string_view, 3> parts;
  std::string_view signed_text;  // header.payload
};

Result<Token> split(std::string_view text) {
  std::vector<std::string_view> parts;
  std::string_view rest = text;
  while (true) {
    const std::size_t dot = rest.find('.');
    parts.push_back(rest.substr(0, dot));
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
    if (parts.size() > 8) break;
  }
  if (parts.size() == 1) return builtin_error("encoded JWT had no period separators");
  if (parts.size() != 3)
    return builtin_error(fmt::format("encoded JWT must have 3 sections, found {}", parts.size()));
  Token out;
  out.parts = {parts[0], parts[1], parts[2]};
  out.signed_text = text.substr(0, parts[0].size() + 1 + parts[1].size());
  return out;
}

Result<std::string> decode_part(std::string_view text, std::string_view what) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  while (text.ends_with('=')) text.remove_suffix(1);
  const std::size_t bad = text.find_first_not_of(kAlphabet);
  if (bad != std::string_view::npos || text.size() % 4 == 1)
    return builtin_error(
        fmt::format("JWT {} had invalid encoding: illegal base64 data at input byte {}", what,
                    std::min(bad, text.size())));
  // Unused trailing bits are ignored, as Go's decoder does.
  std::string out;
  std::uint32_t buffer = 0;
  unsigned bits = 0;
  for (const char c : text) {
    buffer = (buffer << 6U) | static_cast<std::uint32_t>(kAlphabet.find(c));
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>((buffer >> bits) & 0xffU);
  }
  return out;
}

Result<Value> header_of(const Token& token) {
  COFFER_TRY(const std::string text, decode_part(token.parts[0], "header"));
  auto header = parse_json(text, "JWT header");
  if (!header || !header->is_object()) return builtin_error("JWT header is no JSON object");
  if (header->find("enc") != nullptr)
    return builtin_error("JWT is a JWE object, which is not supported");
  return *header;
}

std::string_view text_of(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found != nullptr && found->is_string() ? found->as_string() : std::string_view();
}

// A token inside a token: the payload, with or without the quotes of a JSON string.
bool is_nested(const Value& header) {
  const std::string_view type = text_of(header, "cty");
  return type == "JWT" || type == "jwt";
}

std::string unquoted(std::string text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    return text.substr(1, text.size() - 2);
  return text;
}

constexpr int kMostNested = 16;

Result<Value> decode(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view first, string_operand(args, 1));
  std::string text(first);
  for (int depth = 0; depth < kMostNested; ++depth) {
    COFFER_TRY(const Token token, split(text));
    COFFER_TRY(Value header, header_of(token));
    COFFER_TRY(std::string payload, decode_part(token.parts[1], "payload"));
    if (is_nested(header)) {
      text = unquoted(std::move(payload));
      continue;
    }
    auto claims = parse_json(payload, "JWT payload");
    if (!claims || !claims->is_object()) return builtin_error("JWT payload is no JSON object");
    COFFER_TRY(const std::string signature, decode_part(token.parts[2], "signature"));
    return Value::array({std::move(header), *claims, Value::string(to_hex(as_bytes(signature)))});
  }
  return builtin_error("JWT is nested too deeply");
}

bool verify_with(std::string_view algorithm, const std::vector<JsonWebKey>& keys,
                 const Value& header, const Token& token, std::string_view signature) {
  const std::string_view wanted = text_of(header, "kid");
  if (!wanted.empty()) {
    for (const JsonWebKey& key : keys)
      if (key.id == wanted)
        return verify_signature(algorithm, key.key.get(), token.signed_text, signature);
  }
  for (const JsonWebKey& key : keys) {
    if (!key.algorithm.empty() && key.algorithm != algorithm) continue;
    if (verify_signature(algorithm, key.key.get(), token.signed_text, signature)) return true;
  }
  return false;
}

Result<Value> verify(Args args, std::string_view algorithm) {
  COFFER_TRY(const std::string_view text, string_operand(args, 1));
  COFFER_TRY(const std::string_view key, string_operand(args, 2));
  COFFER_TRY(const Token token, split(text));
  if (is_hmac(algorithm)) {
    COFFER_TRY(const std::string signature, decode_part(token.parts[2], "signature"));
    return Value::boolean(equal_constant_time(as_bytes(hmac(algorithm, key, token.signed_text)),
                                              as_bytes(signature)));
  }
  COFFER_TRY(const auto keys, public_keys(key));
  COFFER_TRY(const Value header, header_of(token));
  COFFER_TRY(const std::string signature, decode_part(token.parts[2], "signature"));
  return Value::boolean(verify_with(algorithm, keys, header, token, signature));
}

template <std::size_t kIndex>
constexpr std::string_view kAlgorithm =
    std::array<std::string_view, 13>{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                     "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}[kIndex];

template <std::size_t kIndex>
Result<Value> verify_builtin(BuiltinContext&, Args args) {
  return verify(args, kAlgorithm<kIndex>);
}

struct Constraints {
  std::vector<JsonWebKey> keys;
  std::optional<std::string> secret;
  std::string algorithm;
  std::optional<Value> issuer;
  std::optional<Value> audience;
  std::optional<Value> subject;
  Value time;
};

Result<Constraints> read_constraints(BuiltinContext& context, const Value& object) {
  Constraints out;
  out.time = Value::integer(context.now_ns ? context.now_ns() : 0);
  bool keyed = false;
  for (const Entry& entry : object.entries()) {
    const std::string_view name = entry.key.is_string() ? entry.key.as_string() : "?";
    const bool text = entry.value.is_string();
    if (name == "time") {
      if (!entry.value.is_number()) return builtin_error("token time constraint: must be a number");
      out.time = entry.value;
      continue;
    }
    if (!text) return builtin_error(fmt::format("token constraint '{}': must be a string", name));
    if (name == "cert" || name == "secret") {
      if (keyed) return builtin_error("duplicate key constraints");
      keyed = true;
      if (name == "secret") {
        out.secret = std::string(entry.value.as_string());
      } else {
        COFFER_TRY(out.keys, public_keys(entry.value.as_string()));
      }
    } else if (name == "alg") {
      out.algorithm = entry.value.as_string();
    } else if (name == "iss") {
      out.issuer = entry.value;
    } else if (name == "aud") {
      out.audience = entry.value;
    } else if (name == "sub") {
      out.subject = entry.value;
    } else {
      return builtin_error(fmt::format("unknown token validation constraint: {}", name));
    }
  }
  if (!keyed) return builtin_error("no key constraint");
  return out;
}

// exp and nbf are seconds, the constraint nanoseconds; both may have fractions.
Result<int> compare_time(const Value& claim, std::string_view name, const Value& now) {
  if (!claim.is_number()) return builtin_error(fmt::format("{} value must be a number", name));
  COFFER_TRY(const Value nanoseconds,
             arithmetic(ArithmeticOp::kMultiply, claim, Value::integer(1'000'000'000)));
  return nanoseconds.compare(now);
}

bool audience_holds(const std::optional<Value>& wanted, const Value* claim) {
  if (!wanted) return claim == nullptr;
  if (claim == nullptr) return false;
  if (claim->is_string()) return *claim == *wanted;
  if (!claim->is_array()) return false;
  for (const Value& one : claim->items())
    if (one == *wanted) return true;
  return false;
}

Result<bool> claims_hold(const Value& claims, const Constraints& constraints) {
  const auto equals = [&](const std::optional<Value>& wanted, std::string_view name) {
    if (!wanted) return true;
    const Value* found = claims.find(name);
    return found != nullptr && *found == *wanted;
  };
  if (!equals(constraints.issuer, "iss") || !equals(constraints.subject, "sub")) return false;
  if (!audience_holds(constraints.audience, claims.find("aud"))) return false;
  if (const Value* exp = claims.find("exp"); exp != nullptr) {
    COFFER_TRY(const int order, compare_time(*exp, "exp", constraints.time));
    if (order <= 0) return false;
  }
  if (const Value* nbf = claims.find("nbf"); nbf != nullptr) {
    COFFER_TRY(const int order, compare_time(*nbf, "nbf", constraints.time));
    if (order > 0) return false;
  }
  return true;
}

bool signature_holds(const Value& header, const Token& token, const Constraints& constraints,
                     std::string_view signature) {
  const std::string_view algorithm = text_of(header, "alg");
  if (!is_jws_algorithm(algorithm)) return false;
  if (!constraints.algorithm.empty() && constraints.algorithm != algorithm) return false;
  if (header.find("crit") != nullptr) return false;  // nothing critical is understood
  if (is_hmac(algorithm) != constraints.secret.has_value()) return false;
  if (constraints.secret)
    return equal_constant_time(as_bytes(hmac(algorithm, *constraints.secret, token.signed_text)),
                               as_bytes(signature));
  return verify_with(algorithm, constraints.keys, header, token, signature);
}

Result<Value> decode_verify(BuiltinContext& context, Args args) {
  COFFER_TRY(const std::string_view first, string_operand(args, 1));
  COFFER_TRY_VOID(require_type(args, 2, Type::kObject));
  COFFER_TRY(const Constraints constraints, read_constraints(context, args[1]));
  Value refused =
      Value::array({Value::boolean(false), Value::empty_object(), Value::empty_object()});
  std::string text(first);
  for (int depth = 0; depth < kMostNested; ++depth) {
    COFFER_TRY(const Token token, split(text));
    COFFER_TRY(Value header, header_of(token));
    COFFER_TRY(std::string payload, decode_part(token.parts[1], "payload"));
    COFFER_TRY(const std::string signature, decode_part(token.parts[2], "signature"));
    if (!signature_holds(header, token, constraints, signature)) return refused;
    if (is_nested(header)) {
      text = unquoted(std::move(payload));
      continue;
    }
    auto claims = parse_json(payload, "JWT payload");
    if (!claims || !claims->is_object()) return refused;
    COFFER_TRY(const bool holds, claims_hold(*claims, constraints));
    if (!holds) return refused;
    return Value::array({Value::boolean(true), std::move(header), *claims});
  }
  return refused;
}

Result<Value> encode(std::string_view header_text, std::string_view payload, const Value& jwk) {
  const auto header = parse_json(header_text, "JWT header");
  const std::string_view algorithm =
      header && header->is_object() ? text_of(*header, "alg") : std::string_view();
  if (algorithm.empty())
    return builtin_error("missing or invalid 'alg' header: jwsbb: header \"alg\" not found");
  if (!is_jws_algorithm(algorithm))
    return builtin_error(fmt::format("unknown JWS algorithm: {}", algorithm));
  const std::string_view type = text_of(*header, "typ");
  if ((type.empty() || type == "JWT") && !parse_json(payload, "JWT payload") && !type.empty())
    return builtin_error("type is JWT but payload is not JSON");
  COFFER_TRY(const JsonWebKey key, key_of_jwk(jwk));
  const std::string out =
      to_base64url(as_bytes(header_text)) + "." + to_base64url(as_bytes(payload));
  COFFER_TRY(const std::string signature, sign(algorithm, key, out));
  return Value::string(out + "." + to_base64url(as_bytes(signature)));
}

Result<Value> encode_sign(BuiltinContext&, Args args) {
  for (std::size_t i = 1; i <= 3; ++i) COFFER_TRY_VOID(require_type(args, i, Type::kObject));
  return encode(to_json(args[0], true), to_json(args[1], true), args[2]);
}

Result<Value> encode_sign_raw(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view header, string_operand(args, 1));
  COFFER_TRY(const std::string_view payload, string_operand(args, 2));
  COFFER_TRY(const std::string_view key, string_operand(args, 3));
  const auto jwk = parse_json(key, "JWK");
  if (!jwk) {
    // The header is looked at first, as OPA does.
    COFFER_TRY_VOID(encode(header, payload, Value::null()));
  }
  return encode(header, payload, jwk ? *jwk : Value::null());
}

constexpr Builtin kTable[] = {
    {"io.jwt.decode", 1, decode},
    {"io.jwt.decode_verify", 2, decode_verify, kNondeterministic},
    {"io.jwt.encode_sign", 3, encode_sign, kNondeterministic},
    {"io.jwt.encode_sign_raw", 3, encode_sign_raw, kNondeterministic},
    {"io.jwt.verify_hs256", 2, verify_builtin<0>},
    {"io.jwt.verify_hs384", 2, verify_builtin<1>},
    {"io.jwt.verify_hs512", 2, verify_builtin<2>},
    {"io.jwt.verify_rs256", 2, verify_builtin<3>},
    {"io.jwt.verify_rs384", 2, verify_builtin<4>},
    {"io.jwt.verify_rs512", 2, verify_builtin<5>},
    {"io.jwt.verify_ps256", 2, verify_builtin<6>},
    {"io.jwt.verify_ps384", 2, verify_builtin<7>},
    {"io.jwt.verify_ps512", 2, verify_builtin<8>},
    {"io.jwt.verify_es256", 2, verify_builtin<9>},
    {"io.jwt.verify_es384", 2, verify_builtin<10>},
    {"io.jwt.verify_es512", 2, verify_builtin<11>},
    {"io.jwt.verify_eddsa", 2, verify_builtin<12>},
};

}  // namespace

std::span<const Builtin> jwt_builtins() { return kTable; }

}  // namespace coffer::policy
