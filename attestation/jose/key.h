// The keys that JOSE objects are made with. OpenSSL holds the secret and wipes it with the last
// reference. Which algorithm a key is used with follows from its type, never from the input.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

// OpenSSL's EVP_PKEY, kept out of this header.
struct evp_pkey_st;

namespace coffer::jose {

enum class KeyType : std::uint8_t { kEcP256, kEcP384, kEcP521, kRsa, kEd25519 };
// "EC P-256", "RSA", ...
[[nodiscard]] std::string_view key_type_name(KeyType type);
[[nodiscard]] bool is_ec(KeyType type);
// Octets of a coordinate: 32, 48, 66; 0 when it is not EC.
[[nodiscard]] std::size_t coordinate_size(KeyType type);

struct EcCoordinates {
  Bytes x, y;  // big-endian, coordinate_size() octets each
};
struct RsaNumbers {
  Bytes n, e;  // big-endian, no leading zero
};

class PublicKey {
 public:
  // kInvalidArgument when the point is not on the curve, or a coordinate has not its full size.
  [[nodiscard]] static Result<PublicKey> from_ec(KeyType type, BytesView x, BytesView y);
  // 2048 to 8192 bits; the exponent odd and of at most 64 bits.
  [[nodiscard]] static Result<PublicKey> from_rsa(BytesView n, BytesView e);
  [[nodiscard]] static Result<PublicKey> from_ed25519(BytesView x);
  // A PEM SubjectPublicKeyInfo, or a certificate's key.
  [[nodiscard]] static Result<PublicKey> from_pem(std::string_view pem);
  // A DER certificate's key. Says nothing about who vouches for it.
  [[nodiscard]] static Result<PublicKey> from_certificate(BytesView der);
  // Takes over one reference; kInvalidArgument when it is of no type above.
  [[nodiscard]] static Result<PublicKey> adopt(evp_pkey_st* key);

  [[nodiscard]] KeyType type() const { return type_; }
  // kFailedPrecondition when it is another type.
  [[nodiscard]] Result<EcCoordinates> ec() const;
  [[nodiscard]] Result<RsaNumbers> rsa() const;
  [[nodiscard]] Result<Bytes> ed25519() const;
  // SubjectPublicKeyInfo.
  [[nodiscard]] Result<std::string> to_pem() const;
  [[nodiscard]] bool operator==(const PublicKey& other) const;
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }

 private:
  PublicKey(std::shared_ptr<evp_pkey_st> key, KeyType type) : key_(std::move(key)), type_(type) {}

  // Shared: OpenSSL counts references to an immutable key.
  std::shared_ptr<evp_pkey_st> key_;
  KeyType type_;
};

class PrivateKey {
 public:
  // RSA: 2048 bits.
  [[nodiscard]] static Result<PrivateKey> generate(KeyType type);
  // PKCS #8, SEC 1 or PKCS #1, not encrypted.
  [[nodiscard]] static Result<PrivateKey> from_pem(std::string_view pem);
  // From the private scalar of an EC key; `x`, `y` must be its point.
  [[nodiscard]] static Result<PrivateKey> from_ec(KeyType type, BytesView d, BytesView x,
                                                  BytesView y);

  [[nodiscard]] KeyType type() const { return public_key_.type(); }
  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // RSA as PKCS #1, the others as PKCS #8: the forms that the attestation agent's API hands out.
  // The caller wipes it.
  [[nodiscard]] Result<std::string> to_pem() const;
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }

 private:
  PrivateKey(std::shared_ptr<evp_pkey_st> key, PublicKey public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}
  [[nodiscard]] static Result<PrivateKey> adopt(evp_pkey_st* key, std::string_view what);

  std::shared_ptr<evp_pkey_st> key_;  // shared: see PublicKey
  PublicKey public_key_;
};

}  // namespace coffer::jose
