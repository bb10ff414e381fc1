// Byte strings: owned, viewed, as hex, as base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;

[[nodiscard]] BytesView as_bytes(std::string_view text);
// The view lives as long as the bytes.
[[nodiscard]] std::string_view as_text(BytesView bytes);
[[nodiscard]] Bytes to_bytes(std::string_view text);

// Lower-case hex.
[[nodiscard]] std::string to_hex(BytesView bytes);
// Accepts both cases; kInvalidArgument on an odd length or a foreign character, with its position.
[[nodiscard]] Result<Bytes> from_hex(std::string_view text);

// RFC 4648: section 4 with padding, and section 5 (URL-safe) without.
[[nodiscard]] std::string to_base64(BytesView bytes);
[[nodiscard]] std::string to_base64url(BytesView bytes);
// Strict: alphabet, padding and zero trailing bits are checked. Url form takes no padding.
[[nodiscard]] Result<Bytes> from_base64(std::string_view text);
[[nodiscard]] Result<Bytes> from_base64url(std::string_view text);

// Compares in a time that depends on the lengths only. For secrets and digests.
[[nodiscard]] bool equal_constant_time(BytesView a, BytesView b);

}  // namespace coffer
