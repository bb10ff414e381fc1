// The init data that was presented is what the hardware holds. For the verifiers.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "tee/verdict.h"

namespace coffer::appraisal {

// Adds "init_data": `found` (hex) is the digest `want`; waived when none was presented.
void check_init_data(const std::optional<Bytes>& want, std::string_view found,
                     tee::Verdict& verdict);

}  // namespace coffer::appraisal
