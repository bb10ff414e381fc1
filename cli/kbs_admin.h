// `coffer kbs ...` as an administrator: resources, policies, reference values, records.
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> kbs_admin_commands();

}  // namespace coffer::cli
