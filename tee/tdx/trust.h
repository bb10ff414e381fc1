// Whom we trust for TDX: Intel's SGX root, pinned; or, for tests and the emulator, roots given by
// the caller, and then only those.
#pragma once

#include <string_view>
#include <vector>

#include "tee/digest.h"
#include "tee/x509.h"

namespace coffer::tdx {

// SHA-256 of the DER of the Intel SGX Root CA certificate of 2018-05-21 (valid to 2049-12-31).
[[nodiscard]] const tee::Digest256& intel_root_fingerprint();

class TrustAnchors {
 public:
  // The pinned Intel root.
  TrustAnchors() = default;
  // Exactly these; none at all trusts nothing.
  explicit TrustAnchors(std::vector<tee::Certificate> roots)
      : pinned_(false), roots_(std::move(roots)) {}

  // Octet for octet one of the anchors: not merely one of the same name or key.
  [[nodiscard]] bool trusts(const tee::Certificate& root) const;
  // For messages: the fingerprints.
  [[nodiscard]] std::string describe() const;

 private:
  bool pinned_ = true;
  std::vector<tee::Certificate> roots_;
};

}  // namespace coffer::tdx
