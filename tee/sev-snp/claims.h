// A report's fields as JSON, by the vendor's names in snake case.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/report.h"

namespace coffer::snp {

// TCB parts as "fmc", "bl", "tee", "snp", "ucode"; byte strings as lower-case hex; flag words as
// "0x..." beside their decoded bits.
[[nodiscard]] nlohmann::json report_claims(const Report& report, TcbLayout layout);
// "product", "signing_certificate": what the chain adds.
void add_endorsement_claims(const Endorsement& endorsement, nlohmann::json& claims);

}  // namespace coffer::snp
