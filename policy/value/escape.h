// Escapes in the strings of JSON (RFC 8259, section 7) and, the same, of Rego.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coffer::policy {

// The four hex digits that `text` begins with.
[[nodiscard]] std::optional<char32_t> hex4(std::string_view text);

// `at`: behind the backslash. Appends what the escape means and moves `at` behind it; false when it
// is none. A surrogate without its other half becomes U+FFFD.
[[nodiscard]] bool append_escape(std::string_view text, std::size_t& at, std::string& out);

}  // namespace coffer::policy
