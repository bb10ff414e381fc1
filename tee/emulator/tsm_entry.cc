#include "tee/emulator/tsm_entry.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <string>

namespace coffer::emulator {
namespace {

constexpr unsigned kMaxPrivilegeLevel = 3;
constexpr unsigned kPrivilegeFloor = 0;

}  // namespace

std::vector<TsmAttribute> tsm_attributes(const Guest& guest) {
  std::vector<TsmAttribute> out{
      {.name = "generation", .access = Access::kRead, .binary = false},
      {.name = "provider", .access = Access::kRead, .binary = false},
      {.name = "inblob", .access = Access::kWrite, .binary = true},
      {.name = "outblob", .access = Access::kRead, .binary = true},
  };
  if (guest.has_auxblob()) {
    out.push_back({.name = "auxblob", .access = Access::kRead, .binary = true});
  }
  if (guest.has_privilege_levels()) {
    out.push_back({.name = "privlevel", .access = Access::kWrite, .binary = false});
    out.push_back({.name = "privlevel_floor", .access = Access::kRead, .binary = false});
  }
  return out;
}

OrErrno<const TsmAnswer*> TsmEntry::answer() {
  if (inblob_.empty()) return std::unexpected(EINVAL);
  if (!answer_ || read_generation_ != write_generation_) {
    answer_.reset();
    auto fresh = guest_.report(inblob_, privilege_level_);
    if (!fresh) return std::unexpected(fresh.error());
    answer_ = *std::move(fresh);
    read_generation_ = write_generation_;
  }
  return &*answer_;
}

OrErrno<Bytes> TsmEntry::read(std::string_view attribute) {
  if (attribute == "generation") return to_bytes(fmt::format("{}\n", write_generation_));
  if (attribute == "provider") return to_bytes(fmt::format("{}\n", guest_.provider()));
  if (attribute == "privlevel_floor") return to_bytes(fmt::format("{}\n", kPrivilegeFloor));
  const bool report = attribute == "outblob";
  if (!report && attribute != "auxblob") return std::unexpected(EACCES);
  const auto found = answer();
  if (!found) return std::unexpected(found.error());
  return report ? (*found)->outblob : (*found)->auxblob;
}

OrErrno<void> TsmEntry::write(std::string_view attribute, BytesView bytes) {
  if (attribute == "privlevel") return set_privilege_level(bytes);
  if (attribute != "inblob") return std::unexpected(EACCES);
  if (bytes.size() > kMaxInblob) return std::unexpected(EFBIG);
  inblob_.assign(bytes.begin(), bytes.end());
  ++write_generation_;
  return {};
}

OrErrno<void> TsmEntry::set_privilege_level(BytesView text) {
  std::string_view digits = as_text(text);
  if (digits.ends_with('\n')) digits.remove_suffix(1);
  unsigned value = 0;
  const auto [at, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || at != digits.data() + digits.size() || value > kMaxPrivilegeLevel) {
    return std::unexpected(EINVAL);
  }
  privilege_level_ = value;
  ++write_generation_;
  return {};
}

}  // namespace coffer::emulator
