#include "bench/kbs/measure.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/error.h"

namespace coffer::bench {
namespace {

constexpr double kKibPerMib = 1024;

double field_of(const std::string& line) { return std::stod(line.substr(line.find(':') + 1)); }

}  // namespace

double cpu_seconds(pid_t pid) {
  clockid_t clock = 0;
  timespec now{};
  check(::clock_getcpuclockid(pid, &clock) == 0 && ::clock_gettime(clock, &now) == 0,
        "no CPU clock of the process");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Memory memory_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  Memory out;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) out.resident = field_of(line) / kKibPerMib;
    if (line.starts_with("VmHWM:")) out.peak = field_of(line) / kKibPerMib;
  }
  return out;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

void raise_file_limit() {
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  check(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

}  // namespace coffer::bench
