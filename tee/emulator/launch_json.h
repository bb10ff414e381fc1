// Reads the launch of an emulated guest from a JSON object: hex strings of exact sizes and numbers.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::emulator {

class LaunchReader {
 public:
  // `object` must outlive the reader.
  explicit LaunchReader(const nlohmann::json& object) : object_(object) {}

  // False when the key is absent, and then `out` is left alone; kInvalidArgument for another size.
  [[nodiscard]] Result<bool> octets(std::string_view key, std::span<std::uint8_t> out);
  // A JSON number, or text in hex ("0x30000") as verdicts print it.
  [[nodiscard]] Result<std::uint64_t> number(std::string_view key, std::uint64_t absent);
  // kInvalidArgument naming a key that nobody asked for.
  [[nodiscard]] Status expect_all_read() const;

 private:
  const nlohmann::json& object_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace coffer::emulator
