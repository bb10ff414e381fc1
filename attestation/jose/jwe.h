// JSON Web Encryption as the key broker replies with it: RFC 7516 section 7.2.2, flattened JSON,
// `enc` A256GCM, `alg` ECDH-ES+A256KW (P-256, P-521) or RSA-OAEP-256.
#pragma once

#include <string>
#include <string_view>

#include "attestation/jose/key.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

namespace coffer::jose {

// As on the wire, all base64url.
struct Jwe {
  std::string protected_header;
  std::string encrypted_key;
  std::string iv;
  std::string ciphertext;
  std::string tag;
};

// At most 32 MiB. A member that it does not know is refused: `unprotected`, `aad` and `recipients`
// would change what is meant.
[[nodiscard]] Result<Jwe> parse_jwe(std::string_view json);
[[nodiscard]] std::string serialise_jwe(const Jwe& jwe);

// The algorithm follows from the key's type. The header is compact JSON with the members alg, enc,
// epk {crv, kty, x, y} in that order: the official client writes it again before it authenticates
// it, and any other form fails there.
[[nodiscard]] Result<Jwe> encrypt_jwe(const PublicKey& recipient, BytesView plaintext);
// kUnauthenticated when it was encrypted to another key or changed; kInvalidArgument when it is not
// of the form above. The header's received bytes are authenticated, never rewritten ones.
[[nodiscard]] Result<SecretBytes> decrypt_jwe(const PrivateKey& key, const Jwe& jwe);

}  // namespace coffer::jose
