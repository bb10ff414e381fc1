// coffer measure tdx: the registers that a good launch of a TD must show.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] Command measure_tdx();

// A TD as upstream KVM and QEMU start it, and what it boots.
struct TdxBoot {
  std::string firmware, kernel, initrd, append;
};
// The values that the default policy asks for: `mr_td`, `rtmr_1`, `rtmr_2`.
[[nodiscard]] Result<nlohmann::json> tdx_reference_values(const TdxBoot& boot);

}  // namespace coffer::cli
