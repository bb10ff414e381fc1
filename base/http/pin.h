// Pins of public keys: what TlsTrust::pin holds.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::http {

// From a PEM certificate or public key, or a pin as people write them: "sha256//BASE64",
// "sha256:HEX", bare BASE64 or HEX of 32 bytes.
[[nodiscard]] Result<std::string> parse_pin(std::string_view text);

}  // namespace coffer::http
