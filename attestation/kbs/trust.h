// The verifiers' trust material, from the files that the configuration names.
#pragma once

#include "attestation/kbs/config.h"
#include "attestation/service/evidence_verifier.h"

namespace coffer::kbs {

// Errors name the file.
[[nodiscard]] Result<appraisal::TrustConfig> load_trust(const Config& config);
// Of TDX: Intel's, or those that verifier.tdx_roots names instead.
[[nodiscard]] Result<tdx::TrustAnchors> load_tdx_anchors(const Config& config);

}  // namespace coffer::kbs
