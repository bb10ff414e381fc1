// What Linux' integrity measurement architecture extends by itself.
#pragma once

#include "tee/tpm/verify.h"

namespace coffer::tpm {

inline constexpr unsigned kImaPcr = 10;

// Whether PCR 10 of SHA-256 holds IMA's first entry and nothing more: the boot aggregate, which is
// the hash of PCR 0 to 9 (security/integrity/ima/ima_init.c), in the templates "ima-ng" or
// "ima-sig" (Documentation/security/IMA-templates.rst). False also when a value is missing.
[[nodiscard]] bool is_ima_boot_aggregate(const PcrValues& sha256);

}  // namespace coffer::tpm
