#include "base/bytes.h"

#include <fmt/format.h>

#include <array>

namespace coffer {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr int kForeign = -1;

constexpr std::array<std::int8_t, 256> invert(std::string_view alphabet) {
  std::array<std::int8_t, 256> table{};
  table.fill(kForeign);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}

constexpr auto kStandardInverse = invert(kStandard);
constexpr auto kUrlInverse = invert(kUrl);

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return kForeign;
}

std::string encode(BytesView in, std::string_view alphabet, bool pad) {
  const std::size_t rest = in.size() % 3;
  const std::size_t last = rest == 0 ? 0 : pad ? 4 : rest + 1;
  std::string out(in.size() / 3 * 4 + last, '=');
  char* to = out.data();
  const auto put = [&](std::uint32_t group, unsigned shift) {
    *to++ = alphabet[(group >> shift) & 0x3FU];
  };
  const std::uint8_t* from = in.data();
  for (const auto* const end = from + (in.size() - rest); from != end; from += 3) {
    const std::uint32_t group =
        (std::uint32_t{from[0]} << 16U) | (std::uint32_t{from[1]} << 8U) | from[2];
    put(group, 18);
    put(group, 12);
    put(group, 6);
    put(group, 0);
  }
  if (rest == 0) return out;
  const std::uint32_t group =
      (std::uint32_t{from[0]} << 16U) | (rest == 2 ? std::uint32_t{from[1]} << 8U : 0U);
  put(group, 18);
  put(group, 12);
  if (rest == 2) put(group, 6);
  return out;
}

Result<Bytes> decode(std::string_view in, const std::array<std::int8_t, 256>& inverse) {
  if (in.size() % 4 == 1) {
    return fail(Code::kInvalidArgument, "decode base64: length leaves a lone character");
  }
  Bytes out(in.size() * 3 / 4);  // a lone character is refused, so this is exact
  auto* at = out.data();
  const auto digit = [&](std::size_t i) { return inverse[static_cast<std::uint8_t>(in[i])]; };
  std::size_t whole = 0;  // characters in groups of four that were read
  for (; in.size() - whole >= 4; whole += 4) {
    const int group = (digit(whole) << 18) | (digit(whole + 1) << 12) | (digit(whole + 2) << 6) |
                      digit(whole + 3);
    if (group < 0) break;  // a foreign one: its place is told below
    *at++ = static_cast<std::uint8_t>(group >> 16);
    *at++ = static_cast<std::uint8_t>(group >> 8);
    *at++ = static_cast<std::uint8_t>(group);
  }
  std::uint32_t buffer = 0;
  unsigned bits = 0;
  for (std::size_t i = whole; i < in.size(); ++i) {
    const std::int8_t value = inverse[static_cast<std::uint8_t>(in[i])];
    if (value == kForeign) {
      return fail(Code::kInvalidArgument,
                  fmt::format("decode base64: foreign character at offset {}", i));
    }
    buffer = (buffer << 6U) | static_cast<std::uint8_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      *at++ = static_cast<std::uint8_t>(buffer >> bits);
    }
  }
  if ((buffer & ((1U << bits) - 1)) != 0) {
    return fail(Code::kInvalidArgument, "decode base64: trailing bits are not zero");
  }
  return out;
}

}  // namespace

BytesView as_bytes(std::string_view text) {
  // A char and an unsigned char may alias: [basic.lval].
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

std::string to_hex(BytesView bytes) {
  std::string out(bytes.size() * 2, '\0');
  char* at = out.data();
  for (const std::uint8_t byte : bytes) {
    *at++ = kHex[byte >> 4U];
    *at++ = kHex[byte & 0xFU];
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return fail(Code::kInvalidArgument, "decode hex: odd number of characters");
  }
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high == kForeign || low == kForeign) {
      return fail(Code::kInvalidArgument, fmt::format("decode hex: foreign character at offset {}",
                                                      high == kForeign ? i : i + 1));
    }
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

std::string to_base64(BytesView bytes) { return encode(bytes, kStandard, true); }
std::string to_base64url(BytesView bytes) { return encode(bytes, kUrl, false); }

Result<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return fail(Code::kInvalidArgument, "decode base64: length is not a multiple of 4");
  }
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  return decode(text, kStandardInverse);
}

Result<Bytes> from_base64url(std::string_view text) { return decode(text, kUrlInverse); }

bool equal_constant_time(BytesView a, BytesView b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned>(a[i] ^ b[i]);
  }
  // Keeps the optimiser from leaving the loop early.
  asm volatile("" : "+r"(difference));
  return difference == 0;
}

}  // namespace coffer
