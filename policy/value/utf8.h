// UTF-8, as Go's unicode/utf8 sees it: an invalid byte is one U+FFFD of width 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coffer::policy {

struct Rune {
  char32_t code;
  std::uint32_t width;  // bytes taken; 0 at the end
};
[[nodiscard]] Rune decode_rune(std::string_view text);
void append_rune(std::string& out, char32_t code);
[[nodiscard]] bool is_ascii(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);
// Runes in `text`, each invalid byte counting as one.
[[nodiscard]] std::size_t count_runes(std::string_view text);

}  // namespace coffer::policy
