// AMD's signing keys for SEV-SNP, pinned: the trust anchors (ARK) and the intermediates that they
// certify, so that a leaf alone can be verified.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tee/sev-snp/product.h"

namespace coffer::snp {

enum class KeyRole : std::uint8_t {
  kArk,   // AMD root key
  kAsk,   // AMD SEV key: issues VCEKs
  kAsvk,  // AMD SEV VLEK key: issues VLEKs
};

struct AmdKey {
  Product product = Product::kMilan;
  KeyRole role = KeyRole::kArk;
  std::string_view fingerprint;  // SHA-256 of the certificate's DER, lower-case hex
  std::uint64_t serial = 0;
  std::int64_t not_before = 0, not_after = 0;  // seconds since 1970, UTC
  std::string_view modulus;                    // RSA-4096, big-endian hex; the exponent is 65537
};

[[nodiscard]] std::span<const AmdKey> amd_keys();

}  // namespace coffer::snp
