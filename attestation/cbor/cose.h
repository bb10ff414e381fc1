// COSE_Sign1 (RFC 9052 section 4.2) with ECDSA (RFC 9053 section 2.1): ES256 with P-256 and ES384
// with P-384, the payload within.
#pragma once

#include <string_view>
#include <vector>

#include "attestation/cbor/value.h"
#include "attestation/jose/key.h"

namespace coffer::cbor {

inline constexpr std::uint64_t kSign1Tag = 18;
// Header parameters.
inline constexpr std::uint64_t kHeaderAlg = 1;
inline constexpr std::uint64_t kHeaderContentType = 3;

// Parsed, not verified.
struct Sign1 {
  Bytes protected_bytes;  // as they are signed
  Value header;           // the map that they are
  Bytes payload;
  Bytes signature;
};

// Of the array, without its tag. kInvalidArgument names the part; so does an unprotected algorithm,
// and a critical header parameter, as we understand none.
[[nodiscard]] Result<Sign1> parse_sign1(const Value& array);
// kUnauthenticated when the algorithm is not the key's, or the signature is wrong.
[[nodiscard]] Status verify_sign1(const Sign1& message, const jose::PublicKey& key);
// With its tag. `header`: pairs of the protected header beside the algorithm, encoded one after
// another; `pairs` how many. kInvalidArgument when the key is neither P-256 nor P-384.
[[nodiscard]] Result<Bytes> make_sign1(const jose::PrivateKey& key, BytesView header,
                                       std::size_t pairs, BytesView payload);

}  // namespace coffer::cbor
