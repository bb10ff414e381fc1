// coffer: the command line for platform engineers, security engineers and policy authors.

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  return coffer::cli::dispatch(coffer::cli::all_commands(), args);
}
