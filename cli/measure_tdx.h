// coffer measure tdx: the registers that a good launch of a TD must show.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

int measure_tdx(Args args);

}  // namespace coffer::cli
