// Whether two globs of a small regular language have a word in common: regex.globs_match.
#pragma once

#include <string_view>

#include "base/error.h"

namespace coffer::policy {

// The language: literal characters, ".", classes "[a-z]" and "[^a-z]", each with "*" or "+" after
// it or not; "\" takes the next character literally. kInvalidArgument with the position otherwise.
// Takes time proportional to the product of the lengths, which are bounded.
[[nodiscard]] Result<bool> regex_globs_intersect(std::string_view left, std::string_view right);

}  // namespace coffer::policy
