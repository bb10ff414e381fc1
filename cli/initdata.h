// `coffer initdata pack|digest|show`.
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> initdata_commands();

}  // namespace coffer::cli
