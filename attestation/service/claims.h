// Claims by Trustee's names, so that its policies read ours.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/bytes.h"

namespace coffer::appraisal {

// From the SNP verifier's claims.
[[nodiscard]] nlohmann::json snp_claims(const nlohmann::json& vendor);
// The same as Azure's verifier of Trustee's has them: every value a text, the measurement in
// base64.
[[nodiscard]] nlohmann::json azure_snp_claims(const nlohmann::json& vendor);
// From the TDX verifier's claims and the quote. `collateral_current`: no document has expired.
[[nodiscard]] nlohmann::json tdx_claims(const nlohmann::json& vendor, BytesView quote,
                                        bool collateral_current);
// pcr00 to pcr23 of SHA-256.
[[nodiscard]] nlohmann::json tpm_claims(const nlohmann::json& vendor);

}  // namespace coffer::appraisal
