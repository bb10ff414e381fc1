// A logger program (binary:// and binary-v2://): gets the outputs as descriptors 3 and 4 and says
// on 5 when it is ready.
#pragma once

#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "base/subprocess.h"
#include "shim/task/stdio_target.h"

namespace coffer::shim {

struct LoggerProgram {
  Child child;
  OutputTarget out, err;
};

// Returns when the program is ready. kFailedPrecondition when it ends or stays silent instead.
[[nodiscard]] Task<Result<LoggerProgram>> start_logger(StdioAddress address,
                                                       std::string containerd_namespace,
                                                       std::string container_id);

// After its pipes are closed: asks it to end, kills it when it has not in 12 s.
Task<void> stop_logger(Child child);

}  // namespace coffer::shim
