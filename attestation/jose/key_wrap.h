// The primitives under JWE: key agreement, key derivation, key wrap, authenticated encryption.
#pragma once

#include <string_view>

#include "attestation/jose/key.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

namespace coffer::jose {

inline constexpr std::size_t kGcmIvBytes = 12;
inline constexpr std::size_t kGcmTagBytes = 16;
inline constexpr std::size_t kAes256Bytes = 32;

// The x coordinate of the shared point, as long as the curve's field (32, 48, 66).
[[nodiscard]] Result<SecretBytes> ecdh(const PrivateKey& ours, const PublicKey& theirs);

// The Concat KDF of RFC 7518 section 4.6.2 with SHA-256 and one round: at most 256 bits.
[[nodiscard]] Result<SecretBytes> concat_kdf(BytesView shared, std::string_view algorithm,
                                             BytesView party_u, BytesView party_v,
                                             std::size_t key_bytes);

// RFC 3394 with a 256-bit key. Unwrapping fails with kUnauthenticated when it is another key's.
[[nodiscard]] Result<Bytes> aes_key_wrap(BytesView key, BytesView secret);
[[nodiscard]] Result<SecretBytes> aes_key_unwrap(BytesView key, BytesView wrapped);

// OAEP with SHA-256 and MGF1-SHA-256, empty label.
[[nodiscard]] Result<Bytes> rsa_oaep_encrypt(const PublicKey& key, BytesView secret);
[[nodiscard]] Result<SecretBytes> rsa_oaep_decrypt(const PrivateKey& key, BytesView encrypted);

struct Sealed {
  Bytes ciphertext;
  Bytes tag;  // kGcmTagBytes
};
// AES-256-GCM with a 12-byte IV.
[[nodiscard]] Result<Sealed> gcm_encrypt(BytesView key, BytesView iv, BytesView aad,
                                         BytesView plaintext);
// kUnauthenticated when the tag does not match.
[[nodiscard]] Result<SecretBytes> gcm_decrypt(BytesView key, BytesView iv, BytesView aad,
                                              BytesView ciphertext, BytesView tag);

[[nodiscard]] Result<Bytes> random_bytes(std::size_t size);

}  // namespace coffer::jose
