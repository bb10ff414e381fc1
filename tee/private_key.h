// Signing keys: of ID blocks, and of the emulator's throwaway PKI. OpenSSL holds the secret and
// wipes it with the last reference.
#pragma once

#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/public_key.h"

namespace coffer::tee {

struct EcdsaSignature {
  Bytes r, s;  // big-endian, curve_size() octets each
};

class PrivateKey {
 public:
  [[nodiscard]] static Result<PrivateKey> generate_ec(Curve curve);
  // 2048..8192 bits.
  [[nodiscard]] static Result<PrivateKey> generate_rsa(unsigned bits);
  // PEM, PKCS #8 or SEC 1 or PKCS #1, not encrypted.
  [[nodiscard]] static Result<PrivateKey> from_pem(std::string_view pem);

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // PKCS #8 PEM, not encrypted.
  [[nodiscard]] Result<std::string> to_pem() const;

  // A signature as certificates hold it. kFailedPrecondition when the scheme is for another key.
  [[nodiscard]] Result<Bytes> sign(SignatureScheme scheme, BytesView message) const;
  [[nodiscard]] Result<EcdsaSignature> sign_ecdsa(HashAlgorithm hash, BytesView message) const;

 private:
  PrivateKey(std::shared_ptr<evp_pkey_st> key, PublicKey public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}
  [[nodiscard]] static Result<PrivateKey> adopt(evp_pkey_st* key, std::string_view what);

  // Shared: OpenSSL counts references to an immutable key.
  std::shared_ptr<evp_pkey_st> key_;
  PublicKey public_key_;
};

}  // namespace coffer::tee
