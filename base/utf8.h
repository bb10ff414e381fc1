// UTF-8, strictly (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace coffer {

// Bytes of the valid sequence that `text` starts with: 1 to 4, or 0 when it starts with none.
[[nodiscard]] std::size_t utf8_sequence_length(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace coffer
