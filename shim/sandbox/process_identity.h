// A process named so that a reused pid is never mistaken for it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

#include "base/error.h"

namespace coffer::shim {

struct ProcessIdentity {
  pid_t pid = 0;
  // Clock ticks after boot: field 22 of /proc/PID/stat.
  std::uint64_t start_time = 0;

  bool operator==(const ProcessIdentity&) const = default;
};

// kNotFound when there is no such process.
[[nodiscard]] Result<ProcessIdentity> identify(pid_t pid);

// SIGKILLs it and waits until it is gone (a zombie counts as gone). Success when it was gone
// already; kDeadlineExceeded when it stays, as a process in uninterruptible sleep does.
[[nodiscard]] Status kill_process(const ProcessIdentity& process,
                                  std::chrono::milliseconds timeout);

}  // namespace coffer::shim
