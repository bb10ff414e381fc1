// The TDX half of coffer evidence; cli/evidence.cc chooses it by --tee.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

// Options after "evidence verify" or "evidence show", --tee included.
int evidence_verify_tdx(Args args);
int evidence_show_tdx(Args args);

}  // namespace coffer::cli
