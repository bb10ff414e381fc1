// JSON Web Keys, RFC 7517 and 7518 section 6.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/jose/key.h"
#include "base/bytes.h"
#include "base/error.h"

namespace coffer::jose {

struct Jwk {
  PublicKey key;
  std::string alg;         // empty: none given
  std::string kid;         // empty: none given
  std::vector<Bytes> x5c;  // DER certificates, leaf first; not checked against the key
};

// EC on P-256, P-384 or P-521, RSA, and OKP Ed25519. Members that it does not know are passed over,
// as RFC 7517 section 4 has it.
[[nodiscard]] Result<Jwk> parse_jwk(const nlohmann::json& jwk);
[[nodiscard]] Result<Jwk> parse_jwk_text(std::string_view text);
// An EC key with its `d`.
[[nodiscard]] Result<PrivateKey> parse_private_jwk(const nlohmann::json& jwk);

// kty and the key's own members (EC: crv, x, y; RSA: n, e; OKP: crv, x), no others.
[[nodiscard]] Result<nlohmann::json> to_jwk(const PublicKey& key);
// RFC 7638, SHA-256, base64url: what `kid` is.
[[nodiscard]] Result<std::string> jwk_thumbprint(const PublicKey& key);

// The key that a guest binds in its evidence and that replies are encrypted to: EC P-256 or P-521
// (alg ECDH-ES+A256KW) or RSA (alg RSA-OAEP-256), with exactly the members that the broker has a
// place for, since it hashes what it wrote again and not what it got.
[[nodiscard]] Result<nlohmann::json> to_tee_pubkey(const PublicKey& key);
// Refuses another member, another `alg`, and keys of other types. RSA1_5 is refused by name.
[[nodiscard]] Result<PublicKey> parse_tee_pubkey(const nlohmann::json& jwk);

}  // namespace coffer::jose
