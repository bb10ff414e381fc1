#include "attestation/jose/jws.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/openssl.h"

namespace coffer::jose {
namespace {

using openssl::BigNum;
using openssl::ClearErrors;
using openssl::EcdsaSig;
using openssl::MdContext;

using Json = nlohmann::json;

constexpr std::size_t kMaxHeaderBytes = std::size_t{128} << 10U;
// Seconds that a double holds exactly.
constexpr double kMaxTime = 9007199254740992.0;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read JWS: {}", why));
}

std::unexpected<Error> not_valid(std::string_view why) {
  return fail(Code::kUnauthenticated, fmt::format("verify JWS: {}", why));
}

Result<Bytes> decode_part(std::string_view text, std::string_view name) {
  auto bytes = from_base64url(text);
  if (!bytes) return refuse(fmt::format("{}: {}", name, bytes.error().message()));
  return bytes;
}

Result<std::string> optional_text(const Json& header, const char* name) {
  const auto at = header.find(name);
  if (at == header.end()) return std::string();
  if (!at->is_string()) return refuse(fmt::format("header '{}' is no string", name));
  return at->get<std::string>();
}

Status read_header(Jws& jws) {
  COFFER_TRY(const Json header,
             parse_json(jws.header, "JWS header", {.max_bytes = kMaxHeaderBytes, .max_depth = 16}));
  if (!header.is_object()) return refuse("the header is no object");
  if (header.contains("crit") || header.contains("b64")) {
    return refuse("the header has critical extensions");
  }
  COFFER_TRY(jws.alg, optional_text(header, "alg"));
  COFFER_TRY(jws.kid, optional_text(header, "kid"));
  COFFER_TRY(jws.typ, optional_text(header, "typ"));
  if (jws.alg.empty()) return refuse("the header has no 'alg'");
  return {};
}

const EVP_MD* digest_of(KeyType type) {
  if (type == KeyType::kEd25519) return nullptr;  // it hashes by itself
  return type == KeyType::kEcP384 ? EVP_sha384() : EVP_sha256();
}

// r || s, each of the field's size (RFC 7518 section 3.4), to OpenSSL's DER.
Result<Bytes> ecdsa_to_der(BytesView raw, std::size_t size) {
  if (raw.size() != 2 * size) {
    return not_valid(fmt::format("the signature has {} bytes, want {}", raw.size(), 2 * size));
  }
  BigNum r(BN_bin2bn(raw.data(), static_cast<int>(size), nullptr));
  BigNum s(BN_bin2bn(raw.data() + size, static_cast<int>(size), nullptr));
  const EcdsaSig signature(ECDSA_SIG_new());
  if (!r || !s || !signature || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return fail(Code::kInternal, "verify JWS: OpenSSL failed");
  }
  (void)r.release();
  (void)s.release();
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return fail(Code::kInternal, "verify JWS: OpenSSL failed");
  Bytes out(der, der + length);
  OPENSSL_free(der);
  return out;
}

Result<Bytes> ecdsa_from_der(BytesView der, std::size_t size) {
  const unsigned char* at = der.data();
  const EcdsaSig signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  Bytes out(2 * size);
  const int length = static_cast<int>(size);
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out.data(), length) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out.data() + size, length) < 0) {
    return fail(Code::kInternal, "sign JWS: OpenSSL failed");
  }
  return out;
}

// Nothing when the claim is absent.
Result<std::optional<double>> time_claim(const Json& claims, const char* name) {
  const auto at = claims.find(name);
  if (at == claims.end()) return std::optional<double>();
  if (!at->is_number()) {
    return fail(Code::kInvalidArgument, fmt::format("check token: '{}' is no number", name));
  }
  const auto value = at->get<double>();
  if (!std::isfinite(value) || std::abs(value) > kMaxTime) {
    return fail(Code::kInvalidArgument, fmt::format("check token: '{}' is out of range", name));
  }
  return std::optional<double>(value);
}

}  // namespace

Result<Bytes> sign_message(const PrivateKey& key, std::string_view message) {
  const ClearErrors clear;
  const MdContext context(EVP_MD_CTX_new());
  const auto bytes = as_bytes(message);
  std::size_t size = 0;
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, digest_of(key.type()), nullptr, key.native()) !=
          1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes.data(), bytes.size()) != 1) {
    return fail(Code::kInternal, "sign JWS: OpenSSL failed");
  }
  Bytes out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, bytes.data(), bytes.size()) != 1) {
    return fail(Code::kInternal, "sign JWS: OpenSSL failed");
  }
  out.resize(size);
  if (is_ec(key.type())) return ecdsa_from_der(out, coordinate_size(key.type()));
  return out;
}

std::optional<std::string_view> signature_algorithm(KeyType type) {
  switch (type) {
    case KeyType::kEcP256:
      return "ES256";
    case KeyType::kEcP384:
      return "ES384";
    case KeyType::kRsa:
      return "RS256";
    case KeyType::kEd25519:
      return "EdDSA";
    case KeyType::kEcP521:
      break;
  }
  return std::nullopt;
}

Result<Jws> parse_jws(std::string_view compact, std::size_t max_bytes) {
  if (compact.size() > max_bytes) {
    return fail(Code::kResourceExhausted,
                fmt::format("read JWS: {} bytes, the limit is {}", compact.size(), max_bytes));
  }
  const auto first = compact.find('.');
  const auto second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos) {
    return refuse("want three parts with dots between");
  }
  COFFER_TRY(const Bytes header, decode_part(compact.substr(0, first), "header"));
  COFFER_TRY(const Bytes payload,
             decode_part(compact.substr(first + 1, second - first - 1), "payload"));
  COFFER_TRY(Bytes signature, decode_part(compact.substr(second + 1), "signature"));
  Jws jws{.header = std::string(as_text(header)),
          .payload = std::string(as_text(payload)),
          .signing_input = std::string(compact.substr(0, second)),
          .signature = std::move(signature),
          .alg = {},
          .kid = {},
          .typ = {}};
  COFFER_TRY_VOID(read_header(jws));
  return jws;
}

Status verify_jws(const Jws& jws, const PublicKey& key) {
  const auto alg = signature_algorithm(key.type());
  if (!alg) {
    return not_valid(fmt::format("no algorithm for a key of {}", key_type_name(key.type())));
  }
  if (jws.alg != *alg) {
    return not_valid(fmt::format("'alg' is '{}', want '{}', which is the key's", jws.alg, *alg));
  }
  return verify_message(key, jws.signing_input, jws.signature);
}

Status verify_message(const PublicKey& key, std::string_view message, BytesView signature) {
  const ClearErrors clear;
  Bytes converted(signature.begin(), signature.end());
  if (is_ec(key.type())) {
    COFFER_TRY(converted, ecdsa_to_der(signature, coordinate_size(key.type())));
  }
  const MdContext context(EVP_MD_CTX_new());
  const auto bytes = as_bytes(message);
  if (!context ||
      EVP_DigestVerifyInit(context.get(), nullptr, digest_of(key.type()), nullptr, key.native()) !=
          1 ||
      EVP_DigestVerify(context.get(), converted.data(), converted.size(), bytes.data(),
                       bytes.size()) != 1) {
    return not_valid("the signature is not this key's");
  }
  return {};
}

Result<std::string> encode_header(const PrivateKey& key, nlohmann::json header) {
  const auto alg = signature_algorithm(key.type());
  if (!alg || !header.is_object()) {
    return fail(Code::kInvalidArgument,
                fmt::format("sign JWS: no algorithm for a key of {}", key_type_name(key.type())));
  }
  header["alg"] = std::string(*alg);
  return to_base64url(as_bytes(dump_json(header)));
}

Result<std::string> sign_encoded(const PrivateKey& key, std::string encoded_header,
                                 std::string_view payload) {
  std::string out = std::move(encoded_header);
  out += '.';
  out += to_base64url(as_bytes(payload));
  COFFER_TRY(const Bytes signature, sign_message(key, out));
  out += '.';
  out += to_base64url(signature);
  return out;
}

Result<std::string> sign_jws(const PrivateKey& key, nlohmann::json header,
                             std::string_view payload) {
  COFFER_TRY(std::string encoded, encode_header(key, std::move(header)));
  return sign_encoded(key, std::move(encoded), payload);
}

Status check_token_times(const nlohmann::json& claims, std::int64_t now, const TimeRules& rules) {
  if (!claims.is_object()) {
    return fail(Code::kInvalidArgument, "check token: its claims are no object");
  }
  COFFER_TRY(const auto exp, time_claim(claims, "exp"));
  COFFER_TRY(const auto nbf, time_claim(claims, "nbf"));
  const auto time = static_cast<double>(now);
  const auto leeway = static_cast<double>(rules.leeway_seconds);
  if (!exp && rules.require_exp) {
    return fail(Code::kUnauthenticated, "check token: it has no 'exp'");
  }
  if (exp && time >= *exp + leeway) {
    return fail(Code::kUnauthenticated,
                fmt::format("check token: it expired at {:.0f}, now is {}", *exp, now));
  }
  if (nbf && time < *nbf - leeway) {
    return fail(Code::kUnauthenticated,
                fmt::format("check token: it is not valid before {:.0f}, now is {}", *nbf, now));
  }
  return {};
}

std::optional<std::int64_t> token_expiry(const nlohmann::json& claims) {
  if (!claims.is_object()) return std::nullopt;
  const auto exp = time_claim(claims, "exp");
  if (!exp || !*exp) return std::nullopt;
  return static_cast<std::int64_t>(**exp);
}

}  // namespace coffer::jose
