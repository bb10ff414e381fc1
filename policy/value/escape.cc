#include "policy/value/escape.h"

#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

constexpr std::size_t kDigits = 4;

std::optional<char32_t> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<char32_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<char32_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<char32_t>(c - 'A' + 10);
  return std::nullopt;
}

// The other half of a pair, as "\uXXXX".
std::optional<char32_t> low_surrogate(std::string_view text) {
  if (!text.starts_with("\\u")) return std::nullopt;
  const auto code = hex4(text.substr(2));
  return code && *code >= 0xdc00 && *code < 0xe000 ? code : std::nullopt;
}

}  // namespace

std::optional<char32_t> hex4(std::string_view text) {
  if (text.size() < kDigits) return std::nullopt;
  char32_t code = 0;
  for (const char c : text.substr(0, kDigits)) {
    const auto value = digit(c);
    if (!value) return std::nullopt;
    code = code * 16 + *value;
  }
  return code;
}

bool append_escape(std::string_view text, std::size_t& at, std::string& out) {
  static constexpr std::string_view kFrom = "\"\\/bfnrt";
  static constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
  if (at >= text.size()) return false;
  const char c = text[at++];
  if (const std::size_t i = kFrom.find(c); i != std::string_view::npos) {
    out.push_back(kTo[i]);
    return true;
  }
  auto code = hex4(text.substr(at));
  if (c != 'u' || !code) return false;
  at += kDigits;
  if (*code >= 0xd800 && *code < 0xdc00) {
    if (const auto low = low_surrogate(text.substr(at))) {
      code = 0x10000 + ((*code - 0xd800) << 10U) + (*low - 0xdc00);
      at += kDigits + 2;
    }
  }
  append_rune(out, *code);
  return true;
}

}  // namespace coffer::policy
