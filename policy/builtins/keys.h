// Public and private keys from PEM, JWK and JWK sets; signatures of JSON Web Algorithms (RFC 7518).
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy {

struct FreeKey {
  void operator()(EVP_PKEY* key) const;
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeKey>;

struct JsonWebKey {
  KeyPtr key;          // null for kty "oct"
  std::string secret;  // kty "oct"
  std::string id;      // kid
  std::string algorithm;
};

// A certificate or public key in PEM, a JWK or a JWK set. Errors are worded as OPA words them.
[[nodiscard]] Result<std::vector<JsonWebKey>> public_keys(std::string_view text);
// One JWK, with its private part where it has one.
[[nodiscard]] Result<JsonWebKey> key_of_jwk(const Value& jwk);

// "HS256", "RS384", "PS512", "ES256", "EdDSA".
[[nodiscard]] bool is_jws_algorithm(std::string_view name);
[[nodiscard]] bool is_hmac(std::string_view name);
// False when the key is of another kind.
[[nodiscard]] bool verify_signature(std::string_view algorithm, EVP_PKEY* key,
                                    std::string_view message, std::string_view signature);
[[nodiscard]] Result<std::string> sign(std::string_view algorithm, const JsonWebKey& key,
                                       std::string_view message);
[[nodiscard]] std::string hmac(std::string_view algorithm, std::string_view secret,
                               std::string_view message);

}  // namespace coffer::policy
