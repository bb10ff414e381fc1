// `coffer measure snp|snp-svsm|seves|sev`: the flags of sev-snp-measure.
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> measure_snp_commands();

}  // namespace coffer::cli
