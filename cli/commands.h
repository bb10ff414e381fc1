// Every subcommand of `coffer`, in the order of the help.
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> all_commands();

}  // namespace coffer::cli
