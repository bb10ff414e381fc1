// Compact JSON Web Signatures (RFC 7515 section 7.1) and the times of JSON Web Tokens (RFC 7519).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "attestation/jose/key.h"
#include "base/bytes.h"
#include "base/error.h"

namespace coffer::jose {

// Parsed, not verified.
struct Jws {
  std::string header;         // JSON text
  std::string payload;        // any bytes
  std::string signing_input;  // what is signed: both, base64url, with a dot between
  Bytes signature;
  std::string alg;  // of the header
  std::string kid;  // of the header; empty: none
  std::string typ;  // of the header; empty: none
};

inline constexpr std::size_t kMaxJwsBytes = std::size_t{4} << 20U;

// kInvalidArgument unless it is three base64url parts and the header a JSON object with an `alg`
// and without `crit` and `b64`.
[[nodiscard]] Result<Jws> parse_jws(std::string_view compact, std::size_t max_bytes = kMaxJwsBytes);

// By the algorithm that the key's type allows: P-256 ES256, P-384 ES384, RSA RS256, Ed25519 EdDSA.
// kUnauthenticated when the header names another one ("none" included) or the signature is wrong.
[[nodiscard]] Status verify_jws(const Jws& jws, const PublicKey& key);

// The algorithm as in verify_jws. `header` is an object; its `alg` is set here.
[[nodiscard]] Result<std::string> sign_jws(const PrivateKey& key, nlohmann::json header,
                                           std::string_view payload);

// The same in two steps, for many signatures with one header: it is encoded once.
[[nodiscard]] Result<std::string> encode_header(const PrivateKey& key, nlohmann::json header);
[[nodiscard]] Result<std::string> sign_encoded(const PrivateKey& key, std::string encoded_header,
                                               std::string_view payload);

// The signatures alone, as JWS has them (ECDSA: r || s), by the algorithm that the key's type
// allows.
[[nodiscard]] Result<Bytes> sign_message(const PrivateKey& key, std::string_view message);
// kUnauthenticated when it is not that key's.
[[nodiscard]] Status verify_message(const PublicKey& key, std::string_view message,
                                    BytesView signature);

// "ES256", "ES384", "RS256", "EdDSA"; nothing for P-521.
[[nodiscard]] std::optional<std::string_view> signature_algorithm(KeyType type);

struct TimeRules {
  std::int64_t leeway_seconds = 60;
  bool require_exp = true;
};
// exp and nbf of the claims against `now`, both in seconds since 1970. kUnauthenticated when it is
// expired or not valid yet, with the times; kInvalidArgument when a time is no number.
[[nodiscard]] Status check_token_times(const nlohmann::json& claims, std::int64_t now,
                                       const TimeRules& rules = {});
// exp in whole seconds; nothing when it is absent or no number.
[[nodiscard]] std::optional<std::int64_t> token_expiry(const nlohmann::json& claims);

}  // namespace coffer::jose
