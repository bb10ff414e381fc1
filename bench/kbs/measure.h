// What a process used, and what waiting was like.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace coffer::bench {

// Seconds of CPU that a process, with all its threads, has used.
[[nodiscard]] double cpu_seconds(pid_t pid);

struct Memory {
  double resident = 0, peak = 0;  // MiB: VmRSS, VmHWM
};
[[nodiscard]] Memory memory_of(pid_t pid);

// The value below which `share` (0..1) of them lie; 0 of none.
[[nodiscard]] double quantile(std::vector<double> values, double share);

// The soft limit of open files up to the hard one, for this process and what it starts.
void raise_file_limit();

}  // namespace coffer::bench
