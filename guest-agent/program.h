// The program kata-agent: reads the settings, boots the guest when it is PID 1, serves, powers off.
#pragma once

namespace coffer::agent {

[[nodiscard]] int run_program(int argc, const char* const* argv, bool is_init);

}  // namespace coffer::agent
