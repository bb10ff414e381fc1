// The software TPM of a pod of the development class: made here, run by the shim.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/launch/launch.h"

namespace coffer::launch {

// The PCRs that this boot gives, as far as they depend on kernel, initrd and command line alone:
// {"pcr04": HEX, "pcr09": HEX, ...}, of SHA-256.
[[nodiscard]] Result<nlohmann::json> tpm_launch(const Request& request);

// A new TPM in the folder `request.tpm`, with a SHA-256 bank, and in the file
// `request.ak_certificate` (DER) the certificate of its attestation key by the throwaway maker
// `pki`. Every pod gets a TPM of its own: no two quote with the same key. kFailedPrecondition when
// swtpm is not installed.
[[nodiscard]] Status make_tpm(const Request& request, const nlohmann::json& pki);

}  // namespace coffer::launch
