// `coffer evidence show|verify|id-block`: one implementation a TEE, chosen by --tee.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] Command evidence_show();
[[nodiscard]] Command evidence_verify();
[[nodiscard]] Command evidence_id_block();

// One a TEE; each parses its own options, --tee among them.
int show_snp(Args args);
int verify_snp(Args args);
int show_tdx(Args args);
int verify_tdx(Args args);
int show_tpm(Args args);
int verify_tpm(Args args);

}  // namespace coffer::cli
