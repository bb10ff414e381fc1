// Canonical JSON, RFC 8785 (JCS): what report data is the digest of.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"

namespace coffer::jose {

// Members sorted by UTF-16 code units, no whitespace, numbers in ECMAScript's form (an integer past
// 2^53 is rounded to the double that it stands for, as the RFC has it). kInvalidArgument on a
// string that is no UTF-8, a number that is not finite, a nesting deeper than 64, or binary.
[[nodiscard]] Result<std::string> canonical_json(const nlohmann::json& value);

// Number.prototype.toString (ECMA-262 section 6.1.6.1.20); `number` must be finite.
[[nodiscard]] std::string ecmascript_number(double number);

}  // namespace coffer::jose
