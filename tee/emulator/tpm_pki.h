// A throwaway maker of TPMs: a root, and certificates of attestation keys. Like the emulator's AMD
// and Intel, its names say "Coffer Emulator": no verifier trusts it unless its root is configured
// by file, and every verdict that rests on it says "emulated".
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/private_key.h"
#include "tee/utc_time.h"

namespace coffer::emulator {

class FakeTpmMaker {
 public:
  // A fresh key (EC P-256); the root and all that it certifies are valid for that time.
  [[nodiscard]] static Result<FakeTpmMaker> make(tee::UnixTime not_before, tee::UnixTime not_after);
  // All of it, the private key included, as JSON; and back.
  [[nodiscard]] Result<std::string> save() const;
  [[nodiscard]] static Result<FakeTpmMaker> load(std::string_view json);

  [[nodiscard]] const Bytes& root() const { return root_; }  // DER
  [[nodiscard]] std::string root_pem() const;
  // A certificate (DER) for the attestation key of one TPM; the serial number is drawn.
  [[nodiscard]] Result<Bytes> certify(const tee::PublicKey& attestation_key) const;

 private:
  FakeTpmMaker(tee::PrivateKey key, tee::UnixTime not_before, tee::UnixTime not_after)
      : key_(std::move(key)), not_before_(not_before), not_after_(not_after) {}

  tee::PrivateKey key_;
  tee::UnixTime not_before_, not_after_;
  Bytes root_;
};

}  // namespace coffer::emulator
