// How a throwaway root made by tee/emulator is told from a vendor's: its subject names this
// organization. Such a root is trusted only when a caller configures it, and every verdict that
// rests on it says "emulated".
#pragma once

#include "tee/x509.h"

namespace coffer::tee {

inline constexpr std::string_view kEmulatorOrganization = "Coffer Emulator";

[[nodiscard]] inline bool is_emulator_root(const Certificate& root) {
  return root.subject().get("2.5.4.10") == kEmulatorOrganization;
}

}  // namespace coffer::tee
