// SHA-256 (FIPS 180-4) for names, not for security: the socket's path is a hash by contract, and
// `start` must not pay for loading a cryptographic library.
#pragma once

#include <string>
#include <string_view>

namespace coffer::shim {

// Lower-case hex.
[[nodiscard]] std::string sha256_hex(std::string_view text);

}  // namespace coffer::shim
