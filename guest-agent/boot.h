// What PID 1 owes the guest before anything can be served, and its end.
#pragma once

#include <vector>

#include "base/error.h"

namespace coffer::agent {

class Modules;

// Makes a root that pivot_root(2) accepts, mounts the kernel's file systems and cgroup v2, loads
// modules, sets limits, name and loopback. An error is of a step without which nothing works; what
// is merely missing is returned as warnings.
[[nodiscard]] Result<std::vector<Error>> boot(Modules& modules);

// sync, then power off. Returns only on failure.
void power_off();

}  // namespace coffer::agent
