// Is an authentic report acceptable? Compares it with what the relying party expects; every waiver
// shows in the verdict.
#pragma once

#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/expectations.h"
#include "tee/sev-snp/report.h"
#include "tee/verdict.h"

namespace coffer::snp {

// Adds the checks "policy.*", "platform.*", "tcb.minimum_*", "expect.*" to `verdict`.
void check_expectations(const Report& report, const Endorsement& endorsement,
                        const Expectations& expectations, tee::Verdict& verdict);

}  // namespace coffer::snp
