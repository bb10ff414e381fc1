#include "tests/cli/run_coffer.h"

#include <gtest/gtest.h>

#include "base/subprocess.h"
#include "tests/base/run_task.h"

namespace coffer::cli {

Outcome run_coffer(std::vector<std::string> args) {
  SpawnOptions options;
  options.argv = {std::string(COFFER_BIN_DIR) + "/coffer"};
  options.argv.insert(options.argv.end(), args.begin(), args.end());
  RunOptions limits;
  limits.output_limit = std::size_t{16} << 20U;
  const auto result = run_task<Result<RunResult>>(
      [&](const asio::any_io_executor&) { return run(options, limits); });
  EXPECT_TRUE(result) << result.error().to_string();
  if (!result) return {};
  return {.exit_code = result->status.as_shell(), .out = result->out, .err = result->err};
}

}  // namespace coffer::cli
