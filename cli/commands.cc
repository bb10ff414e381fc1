#include "cli/commands.h"

namespace coffer::cli {

// Each folder of commands adds its own here: one line a command, kept in the order of the help.
std::vector<Command> all_commands() { return {}; }

}  // namespace coffer::cli
