// One directory below configfs' tsm/report, as Linux keeps it: a request's options, its answer, and
// the generation that tells a caller when another writer got between.
//
// Documentation/ABI/testing/configfs-tsm-report (Linux 6.7 and later).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tee/emulator/guest.h"

namespace coffer::emulator {

enum class Access : std::uint8_t { kRead, kWrite };

struct TsmAttribute {
  std::string_view name;
  Access access;
  // Taken as a whole when the file is closed, and not at each write.
  bool binary;
};

// The attributes that a provider's entries have.
[[nodiscard]] std::vector<TsmAttribute> tsm_attributes(const Guest& guest);

class TsmEntry {
 public:
  // `guest` must outlive the entry.
  explicit TsmEntry(Guest& guest) : guest_(guest) {}

  // EINVAL for a report before there is an inblob; otherwise what the guest says.
  [[nodiscard]] OrErrno<Bytes> read(std::string_view attribute);
  // EFBIG for an inblob above 64 octets, EINVAL for a privilege level that is none.
  [[nodiscard]] OrErrno<void> write(std::string_view attribute, BytesView bytes);

  static constexpr std::size_t kMaxInblob = 64;

 private:
  [[nodiscard]] OrErrno<const TsmAnswer*> answer();
  [[nodiscard]] OrErrno<void> set_privilege_level(BytesView text);

  Guest& guest_;
  std::uint64_t write_generation_ = 0, read_generation_ = 0;
  unsigned privilege_level_ = 0;
  Bytes inblob_;
  std::optional<TsmAnswer> answer_;
};

}  // namespace coffer::emulator
