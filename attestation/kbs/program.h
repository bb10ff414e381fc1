// The program coffer-kbs.
#pragma once

#include <string>
#include <vector>

namespace coffer::kbs {

// `args` without the program's name. Exit 0 as asked, 2 usage, configuration or start.
int run_program(const std::vector<std::string>& args);

}  // namespace coffer::kbs
