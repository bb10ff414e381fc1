// What a dead QEMU or guest meant to say, in one line a person can act on.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coffer::shim {

// QEMU's own last words, joined, with a hint for the failures that users meet ("fw_error=7" and the
// like). "" when it said nothing.
[[nodiscard]] std::string explain_qemu(std::span<const std::string> stderr_lines);

// "Attempted to kill init!" of "Kernel panic - not syncing: Attempted to kill init!", else "".
[[nodiscard]] std::string panic_of(std::string_view console_line);

// How far the console shows the guest to have come.
[[nodiscard]] std::string boot_stage_of(std::span<const std::string> console_lines);

}  // namespace coffer::shim
