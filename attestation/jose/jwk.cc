#include "attestation/jose/jwk.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "attestation/jose/jcs.h"
#include "base/json.h"
#include "base/secret.h"

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxJwkBytes = std::size_t{64} << 10U;
constexpr std::size_t kMaxCertificates = 10;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read JWK: {}", why));
}

Result<std::string_view> member(const Json& jwk, const char* name) {
  const auto at = jwk.find(name);
  if (at == jwk.end()) return refuse(fmt::format("no member '{}'", name));
  if (!at->is_string()) return refuse(fmt::format("member '{}' is no string", name));
  return std::string_view(at->get_ref<const std::string&>());
}

// Empty when it is not there.
Result<std::string> optional_member(const Json& jwk, const char* name) {
  if (!jwk.contains(name)) return std::string();
  COFFER_TRY(const auto text, member(jwk, name));
  return std::string(text);
}

Result<Bytes> number(const Json& jwk, const char* name) {
  COFFER_TRY(const auto text, member(jwk, name));
  auto bytes = from_base64url(text);
  if (!bytes) return refuse(fmt::format("member '{}': {}", name, bytes.error().message()));
  return bytes;
}

Result<KeyType> curve_type(const Json& jwk) {
  COFFER_TRY(const auto curve, member(jwk, "crv"));
  if (curve == "P-256") return KeyType::kEcP256;
  if (curve == "P-384") return KeyType::kEcP384;
  if (curve == "P-521") return KeyType::kEcP521;
  return refuse(fmt::format("member 'crv': got '{}', want P-256, P-384 or P-521", curve));
}

std::string_view curve_name(KeyType type) {
  switch (type) {
    case KeyType::kEcP256:
      return "P-256";
    case KeyType::kEcP384:
      return "P-384";
    case KeyType::kEcP521:
      return "P-521";
    case KeyType::kEd25519:
      return "Ed25519";
    case KeyType::kRsa:
      break;
  }
  return "";
}

Result<PublicKey> read_key(const Json& jwk) {
  COFFER_TRY(const auto kty, member(jwk, "kty"));
  if (kty == "EC") {
    COFFER_TRY(const KeyType type, curve_type(jwk));
    COFFER_TRY(const Bytes x, number(jwk, "x"));
    COFFER_TRY(const Bytes y, number(jwk, "y"));
    return PublicKey::from_ec(type, x, y);
  }
  if (kty == "RSA") {
    COFFER_TRY(const Bytes n, number(jwk, "n"));
    COFFER_TRY(const Bytes e, number(jwk, "e"));
    return PublicKey::from_rsa(n, e);
  }
  if (kty == "OKP") {
    COFFER_TRY(const auto curve, member(jwk, "crv"));
    if (curve != "Ed25519") return refuse(fmt::format("member 'crv': got '{}'", curve));
    COFFER_TRY(const Bytes x, number(jwk, "x"));
    return PublicKey::from_ed25519(x);
  }
  if (kty == "AKP") return refuse("ML-KEM keys (kty AKP) are not supported; use EC or RSA");
  return refuse(fmt::format("member 'kty': got '{}', want EC, RSA or OKP", kty));
}

Result<std::vector<Bytes>> read_x5c(const Json& jwk) {
  std::vector<Bytes> out;
  const auto at = jwk.find("x5c");
  if (at == jwk.end()) return out;
  if (!at->is_array() || at->empty() || at->size() > kMaxCertificates) {
    return refuse(fmt::format("member 'x5c': want a list of 1 to {}", kMaxCertificates));
  }
  for (const auto& entry : *at) {
    if (!entry.is_string()) return refuse("member 'x5c': an entry is no string");
    auto der = from_base64(entry.get_ref<const std::string&>());
    if (!der) return refuse(fmt::format("member 'x5c': {}", der.error().message()));
    out.push_back(*std::move(der));
  }
  return out;
}

}  // namespace

Result<Jwk> parse_jwk(const nlohmann::json& jwk) {
  if (!jwk.is_object()) return refuse("it is no object");
  COFFER_TRY(PublicKey key, read_key(jwk));
  COFFER_TRY(std::string alg, optional_member(jwk, "alg"));
  COFFER_TRY(std::string kid, optional_member(jwk, "kid"));
  COFFER_TRY(std::vector<Bytes> x5c, read_x5c(jwk));
  return Jwk{
      .key = std::move(key), .alg = std::move(alg), .kid = std::move(kid), .x5c = std::move(x5c)};
}

Result<Jwk> parse_jwk_text(std::string_view text) {
  COFFER_TRY(const Json jwk, parse_json(text, "JWK", {.max_bytes = kMaxJwkBytes, .max_depth = 8}));
  return parse_jwk(jwk);
}

Result<PrivateKey> parse_private_jwk(const nlohmann::json& jwk) {
  if (!jwk.is_object()) return refuse("it is no object");
  COFFER_TRY(const auto kty, member(jwk, "kty"));
  if (kty != "EC") return refuse("a private key must be EC");
  COFFER_TRY(const KeyType type, curve_type(jwk));
  COFFER_TRY(const Bytes x, number(jwk, "x"));
  COFFER_TRY(const Bytes y, number(jwk, "y"));
  COFFER_TRY(Bytes d, number(jwk, "d"));
  const SecretBytes scalar(std::move(d));
  return PrivateKey::from_ec(type, scalar.view(), x, y);
}

Result<nlohmann::json> to_jwk(const PublicKey& key) {
  Json out = Json::object();
  if (key.type() == KeyType::kRsa) {
    COFFER_TRY(const RsaNumbers numbers, key.rsa());
    out["kty"] = "RSA";
    out["n"] = to_base64url(numbers.n);
    out["e"] = to_base64url(numbers.e);
    return out;
  }
  out["crv"] = std::string(curve_name(key.type()));
  if (key.type() == KeyType::kEd25519) {
    COFFER_TRY(const Bytes x, key.ed25519());
    out["kty"] = "OKP";
    out["x"] = to_base64url(x);
    return out;
  }
  COFFER_TRY(const EcCoordinates point, key.ec());
  out["kty"] = "EC";
  out["x"] = to_base64url(point.x);
  out["y"] = to_base64url(point.y);
  return out;
}

Result<std::string> jwk_thumbprint(const PublicKey& key) {
  // The required members of RFC 7638 section 3.2 are just those of to_jwk, sorted.
  COFFER_TRY(const Json jwk, to_jwk(key));
  COFFER_TRY(const std::string text, canonical_json(jwk));
  std::array<std::uint8_t, 32> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    return fail(Code::kInternal, "hash JWK: OpenSSL failed");
  }
  return to_base64url(digest);
}

Result<nlohmann::json> to_tee_pubkey(const PublicKey& key) {
  if (key.type() == KeyType::kEcP384 || key.type() == KeyType::kEd25519) {
    return fail(Code::kFailedPrecondition,
                fmt::format("make TEE key: {} is not supported by the protocol; use EC P-256, EC "
                            "P-521 or RSA",
                            key_type_name(key.type())));
  }
  COFFER_TRY(Json jwk, to_jwk(key));
  jwk["alg"] = key.type() == KeyType::kRsa ? "RSA-OAEP-256" : "ECDH-ES+A256KW";
  return jwk;
}

Result<PublicKey> parse_tee_pubkey(const nlohmann::json& jwk) {
  COFFER_TRY(Jwk parsed, parse_jwk(jwk));
  const auto type = parsed.key.type();
  if (type == KeyType::kEcP384 || type == KeyType::kEd25519) {
    return refuse(fmt::format("a TEE's key may not be {}", key_type_name(type)));
  }
  const std::string_view alg = type == KeyType::kRsa ? "RSA-OAEP-256" : "ECDH-ES+A256KW";
  if (parsed.alg != alg) {
    return refuse(fmt::format("member 'alg': got '{}', want '{}'", parsed.alg, alg));
  }
  const std::size_t members = type == KeyType::kRsa ? 4 : 5;
  if (jwk.size() != members) {
    return refuse(
        fmt::format("a TEE's key has {} members, want {} (no kid, no use)", jwk.size(), members));
  }
  return std::move(parsed.key);
}

}  // namespace coffer::jose
