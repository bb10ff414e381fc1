// P-256 private keys of the emulator's throwaway PKI.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/public_key.h"

struct evp_pkey_st;

namespace coffer::emulator {

class EcKey {
 public:
  [[nodiscard]] static Result<EcKey> generate();
  // PKCS#8 PEM, as to_pem() writes it.
  [[nodiscard]] static Result<EcKey> from_pem(std::string_view pem);
  [[nodiscard]] Result<std::string> to_pem() const;

  [[nodiscard]] Result<tee::PublicKey> public_key() const;
  // x || y, big endian, 64 bytes.
  [[nodiscard]] Result<Bytes> point() const;
  // ECDSA with SHA-256: r || s, big endian, 64 bytes.
  [[nodiscard]] Result<Bytes> sign(BytesView message) const;
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }

 private:
  explicit EcKey(evp_pkey_st* key);
  std::shared_ptr<evp_pkey_st> key_;  // immutable, and OpenSSL's own count is behind it
};

}  // namespace coffer::emulator
