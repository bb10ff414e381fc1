// `coffer measure snp|snp-svsm|seves|sev`: the flags of sev-snp-measure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> measure_snp_commands();

// A guest as QEMU starts it, and what it boots; numbers of vCPUs that it may have, one at least.
struct SnpBoot {
  std::string firmware, kernel, initrd, append, vcpu_type;
  std::vector<std::string> vcpus;
};
// The value that the default policy asks for: `snp_launch_measurement`, one for each.
[[nodiscard]] Result<nlohmann::json> snp_reference_values(const SnpBoot& boot);

}  // namespace coffer::cli
