// coffer check: can this host run pods, and if not, what is to be done.
#pragma once

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] Command check_command();

}  // namespace coffer::cli
