// coffer measure tpm: the PCRs that a good launch of a measured VM must show.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] Command measure_tpm();

}  // namespace coffer::cli
