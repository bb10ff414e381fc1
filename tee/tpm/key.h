// Attestation keys as people hand them over.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/public_key.h"

namespace coffer::tpm {

struct AttestationKey {
  tee::PublicKey key;
  // From a TPM2B_PUBLIC: a restricted signing key of this TPM, which signs only what the TPM itself
  // made. Without it, its holder could sign a made-up TPMS_ATTEST. Nothing: the form does not say.
  std::optional<bool> restricted;
  // From an HCL report: the digest with which the hardware's REPORT_DATA must begin for the key to
  // be that of the confidential VM.
  std::optional<Bytes> bound_digest = {};
};

// A SubjectPublicKeyInfo (DER, or PEM "PUBLIC KEY"), or a TPM2B_PUBLIC or TPMT_PUBLIC (TPM 2.0
// Library part 2 rev. 1.59, 12.2.5) of RSA or of ECC on P-256 or P-384, or Azure's HCL report
// (hcl.h).
[[nodiscard]] Result<AttestationKey> parse_attestation_key(BytesView bytes);

// A TPM2B_PUBLIC or TPMT_PUBLIC alone.
[[nodiscard]] Result<AttestationKey> parse_tpm_public(BytesView bytes);

}  // namespace coffer::tpm
