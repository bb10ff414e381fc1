// What reading and writing JSON share; for base/json_*.cc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace coffer::json_detail {

// ASCII that stands for itself in a string.
inline bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20U && byte < 0x80U && c != '"' && c != '\\';
}

// The first byte at or after `from` that is not plain; the text's size when all are.
inline std::size_t end_of_plain(std::string_view text, std::size_t from) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  // Eight at a time: a subtraction borrows into a byte's highest bit when the byte was smaller.
  // That the borrow may go on to the next one does not matter: only "any" is asked.
  for (; text.size() - from >= sizeof kOnes; from += sizeof kOnes) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + from, sizeof bytes);
    const std::uint64_t quote = bytes ^ (kOnes * '"');
    const std::uint64_t backslash = bytes ^ (kOnes * '\\');
    const std::uint64_t low = (bytes - kOnes * 0x20U) | (quote - kOnes) | (backslash - kOnes);
    if (((low | bytes) & kHighs) != 0) break;
  }
  while (from < text.size() && is_plain(text[from])) ++from;
  return from;
}

}  // namespace coffer::json_detail
