// The init data that was presented is what the hardware holds. For the verifiers.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "tee/verdict.h"

namespace coffer::appraisal {

// A vTPM's register for it.
inline constexpr unsigned kInitDataPcr = 8;

// Adds "init_data": `found` (hex) is the digest `want`; waived when none was presented.
void check_init_data(const std::optional<Bytes>& want, std::string_view found,
                     tee::Verdict& verdict);
// What that register holds when the guest extended it, once, with this digest (cut or padded to 32
// bytes).
[[nodiscard]] Bytes extended_init_data(BytesView digest);

}  // namespace coffer::appraisal
