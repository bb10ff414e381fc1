// Init data as policies see it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::appraisal {

// By the text's own algorithm. kInvalidArgument when it is no init data.
[[nodiscard]] Result<Bytes> init_data_digest(std::string_view toml);

// {"cdh.toml": {...}, "aa.toml": {...}, "agent_policy_claims": {...}, OTHER: TEXT}: TOML entries as
// JSON, of policy.rego only the value of its rule `policy_data`, if that is an object. An entry
// that cannot be read stays text.
[[nodiscard]] Result<nlohmann::json> init_data_claims(std::string_view toml);

}  // namespace coffer::appraisal
