// The launch of an emulated guest: what hardware would have measured.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/launch/launch.h"

namespace coffer::launch {

// The object "launch" of an emulated SNP or TDX guest (tee/emulator/guest_file.h); of a guest with
// a software TPM, the PCRs that its boot will give (cli/launch/tpm.h).
//
// Debian's OVMF has no page for an SNP guest's kernel hashes; it is measured as though it had one
// where AmdSev builds have it, so that kernel, initrd and command line count. A TD's RTMR[0] is
// that of a machine without ACPI tables.
[[nodiscard]] Result<nlohmann::json> emulated_launch(const Request& request, BytesView host_data);

// What coffer-kbs' default policy asks of such a guest: the launch's values, and those of the
// platform that the vendor `pki` plays, by the policy's names.
[[nodiscard]] Result<nlohmann::json> reference_values(std::string_view tee,
                                                      const nlohmann::json& launch,
                                                      const nlohmann::json& pki);

}  // namespace coffer::launch
