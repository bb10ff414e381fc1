// Percent-encoding (RFC 3986, section 2.1), as it stands in URLs and in some headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer {

// A form's query writes a blank as '+' (WHATWG URL, section 5.1).
enum class Plus : std::uint8_t { kIsItself, kIsBlank };

// Any bytes may come out. kInvalidArgument, with the escape, where no two hex digits follow a '%'.
[[nodiscard]] Result<std::string> percent_decoded(std::string_view text, Plus plus);

}  // namespace coffer
