// Runs the built `coffer` as a user does.
#pragma once

#include <string>
#include <vector>

namespace coffer::cli {

struct Outcome {
  int exit_code = -1;  // as a shell counts; -1: it did not start
  std::string out;
  std::string err;
};

[[nodiscard]] Outcome run_coffer(std::vector<std::string> args);

}  // namespace coffer::cli
