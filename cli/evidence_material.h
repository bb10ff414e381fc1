// What stands around evidence: certificates, revocation lists, collateral, event logs, TDREPORTs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::cli {

// {"kind": ..., and what the bytes say}; nothing is verified. kInvalidArgument when they are of no
// kind that we know, or malformed.
[[nodiscard]] Result<nlohmann::json> describe_material(BytesView bytes);

}  // namespace coffer::cli
