// coffer measure tdx: the registers that a good launch of a TD must show.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] Command measure_tdx();

}  // namespace coffer::cli
