// Public keys of evidence and of its certificates: RSA, and EC on P-256 and P-384. OpenSSL does the
// arithmetic; which algorithm is used is always the caller's word, never the input's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/digest.h"

// OpenSSL's EVP_PKEY, kept out of this header.
struct evp_pkey_st;

namespace coffer::tee {

enum class Curve : std::uint8_t { kP256, kP384 };
// Octets of a coordinate or scalar: 32, 48.
[[nodiscard]] std::size_t curve_size(Curve curve);

enum class SignatureScheme : std::uint8_t {
  kUnknown,         // never verifies
  kRsaPssSha384,    // RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48, trailer 1; nothing looser
  kRsaPkcs1Sha256,  // RSASSA-PKCS1-v1_5
  kRsaPkcs1Sha384,
  kEcdsaSha256,  // DER ECDSA-Sig-Value
  kEcdsaSha384,
};

struct EcPoint {
  Bytes x, y;  // big-endian, curve_size() octets each
};

class PublicKey {
 public:
  // A DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). kInvalidArgument unless it is RSA of at
  // most 8192 bits (rsaEncryption, parameters NULL), or EC on a named P-256 or P-384 with the point
  // on the curve.
  [[nodiscard]] static Result<PublicKey> from_spki(BytesView spki);
  // Affine big-endian coordinates; kInvalidArgument when the point is not on the curve.
  [[nodiscard]] static Result<PublicKey> from_ec_point(Curve curve, BytesView x, BytesView y);
  // Big-endian modulus and public exponent.
  [[nodiscard]] static Result<PublicKey> from_rsa(BytesView modulus, std::uint64_t exponent);
  // Takes over one reference.
  [[nodiscard]] static Result<PublicKey> adopt(evp_pkey_st* key);

  // The curve, or nothing for RSA.
  [[nodiscard]] std::optional<Curve> curve() const { return curve_; }
  [[nodiscard]] bool is_rsa() const { return !curve_.has_value(); }
  [[nodiscard]] int bits() const;
  // kFailedPrecondition for RSA.
  [[nodiscard]] Result<EcPoint> ec_point() const;
  // DER SubjectPublicKeyInfo.
  [[nodiscard]] Bytes spki() const;

  // False for whatever reason it is not a valid signature, including a scheme for another key type.
  [[nodiscard]] bool verify(SignatureScheme scheme, BytesView message, BytesView signature) const;
  // ECDSA with the signature as two big-endian integers; r and s must be in 1..n-1.
  [[nodiscard]] bool verify_ecdsa(HashAlgorithm hash, BytesView message, BytesView r,
                                  BytesView s) const;
  [[nodiscard]] bool operator==(const PublicKey& other) const;

  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }

 private:
  // Shared: OpenSSL counts references to an immutable key, and certificates are values.
  PublicKey(std::shared_ptr<evp_pkey_st> key, std::optional<Curve> curve)
      : key_(std::move(key)), curve_(curve) {}

  std::shared_ptr<evp_pkey_st> key_;
  std::optional<Curve> curve_;
};

}  // namespace coffer::tee
