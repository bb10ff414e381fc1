// coffer measure tpm: the PCRs that a good launch of a measured VM must show.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/command.h"
#include "cli/direct_boot.h"

namespace coffer::cli {

[[nodiscard]] Command measure_tpm();

// The values that the default policy asks for: `tpm_pcr04`, `tpm_pcr09`.
[[nodiscard]] Result<nlohmann::json> tpm_reference_values(const BootFlags& boot);

}  // namespace coffer::cli
