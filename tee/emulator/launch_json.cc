#include "tee/emulator/launch_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/bytes.h"

namespace coffer::emulator {
namespace {

std::unexpected<Error> bad(std::string_view key, std::string_view want) {
  return fail(Code::kInvalidArgument, fmt::format("launch: '{}': want {}", key, want));
}

}  // namespace

Result<bool> LaunchReader::octets(std::string_view key, std::span<std::uint8_t> out) {
  known_.emplace(key);
  const auto at = object_.find(key);
  if (at == object_.end()) return false;
  const std::string want = fmt::format("{} octets in hex", out.size());
  if (!at->is_string()) return bad(key, want);
  const auto bytes = from_hex(at->get<std::string>());
  if (!bytes || bytes->size() != out.size()) return bad(key, want);
  std::ranges::copy(*bytes, out.begin());
  return true;
}

Result<std::uint64_t> LaunchReader::number(std::string_view key, std::uint64_t absent) {
  known_.emplace(key);
  const auto at = object_.find(key);
  if (at == object_.end()) return absent;
  if (at->is_number_unsigned()) return at->get<std::uint64_t>();
  if (!at->is_string()) return bad(key, "a number");
  const auto text = at->get<std::string>();
  constexpr int kHex = 16;
  std::uint64_t value = 0;
  if (!text.starts_with("0x")) return bad(key, "a number");
  const auto [end, error] =
      std::from_chars(text.data() + 2, text.data() + text.size(), value, kHex);
  if (error != std::errc() || end != text.data() + text.size()) return bad(key, "a number");
  return value;
}

Status LaunchReader::expect_all_read() const {
  for (const auto& [key, value] : object_.items()) {
    if (!known_.contains(key)) return bad(key, "no such key");
  }
  return {};
}

}  // namespace coffer::emulator
