#include "policy/value/utf8.h"

#include <algorithm>

namespace coffer::policy {
namespace {

constexpr char32_t kReplacement = 0xfffd;

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

}  // namespace

Rune decode_rune(std::string_view text) {
  if (text.empty()) return {kReplacement, 0};
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return {static_cast<char32_t>(first), 1};
  std::uint32_t width = 0;
  char32_t code = 0;
  if (first >= 0xc2 && first <= 0xdf) {
    width = 2;
    code = first & 0x1fU;
  } else if (first >= 0xe0 && first <= 0xef) {
    width = 3;
    code = first & 0x0fU;
  } else if (first >= 0xf0 && first <= 0xf4) {
    width = 4;
    code = first & 0x07U;
  } else {
    return {kReplacement, 1};
  }
  if (text.size() < width) return {kReplacement, 1};
  for (std::uint32_t i = 1; i < width; ++i) {
    const unsigned next = byte_at(text, i);
    if ((next & 0xc0U) != 0x80) return {kReplacement, 1};
    code = (code << 6U) | (next & 0x3fU);
  }
  const bool overlong = (width == 3 && code < 0x800) || (width == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {kReplacement, 1};
  return {code, width};
}

void append_rune(std::string& out, char32_t code) {
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) code = kReplacement;
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6U));
    put(0x80 | (code & 0x3fU));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12U));
    put(0x80 | ((code >> 6U) & 0x3fU));
    put(0x80 | (code & 0x3fU));
  } else {
    put(0xf0 | (code >> 18U));
    put(0x80 | ((code >> 12U) & 0x3fU));
    put(0x80 | ((code >> 6U) & 0x3fU));
    put(0x80 | (code & 0x3fU));
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = decode_rune(text);
    if (rune.code == U'\uFFFD' && rune.width == 1) return false;
    text.remove_prefix(rune.width);
  }
  return true;
}

std::size_t count_runes(std::string_view text) {
  std::size_t count = 0;
  while (!text.empty()) {
    text.remove_prefix(decode_rune(text).width);
    ++count;
  }
  return count;
}

}  // namespace coffer::policy
