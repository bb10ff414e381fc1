// A throwaway Intel whose certificates and lists hold now.
#pragma once

#include <ctime>
#include <utility>

#include "tee/emulator/tdx_pki.h"

namespace coffer::testing {

// One for all tests of a program.
inline const emulator::FakeIntel& intel() {
  static const auto kIntel = [] {
    const auto now = static_cast<tee::UnixTime>(::time(nullptr));
    auto made = emulator::FakeIntel::make(
        {.not_before = now - 86400, .not_after = now + 30L * 86400, .platform = {}});
    check(made.has_value(), "make a throwaway Intel");
    return *std::move(made);
  }();
  return kIntel;
}

}  // namespace coffer::testing
