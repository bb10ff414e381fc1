// A guest that stands where a TEE would: what firmware answers when the guest's kernel asks, from a
// throwaway PKI. The kernel's own interface lies above it, in kernel_tree.h.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace coffer::emulator {

// A value, or the errno that a program in the guest gets to see.
template <typename T>
using OrErrno = std::expected<T, int>;

// What a TSM provider of the kernel gives for one request.
struct TsmAnswer {
  Bytes outblob;  // report or quote
  Bytes auxblob;  // certificate table, if the provider has one
};

// A runtime measurement or launch value that the kernel shows as a file.
struct MeasurementFile {
  std::string name;  // "rtmr2:sha384"
  bool extendable = false;
};

class Guest {
 public:
  virtual ~Guest() = default;

  // The TSM provider's name: "sev_guest", "tdx_guest".
  [[nodiscard]] virtual std::string_view provider() const = 0;
  // Attributes that only some providers have.
  [[nodiscard]] virtual bool has_privilege_levels() const = 0;
  [[nodiscard]] virtual bool has_auxblob() const = 0;

  // EINVAL unless the inblob is of the size that the hardware takes (64 octets).
  [[nodiscard]] virtual OrErrno<TsmAnswer> report(BytesView inblob, unsigned privilege_level) = 0;

  // Files below /sys/devices/virtual/misc/tdx_guest/measurements; none without such registers.
  [[nodiscard]] virtual std::vector<MeasurementFile> measurements() const { return {}; }
  [[nodiscard]] virtual OrErrno<Bytes> measurement(std::string_view name) const;
  // EINVAL for a digest of another size than the register's.
  [[nodiscard]] virtual OrErrno<void> extend(std::string_view name, BytesView digest);

 protected:
  Guest() = default;
  Guest(const Guest&) = default;
  Guest(Guest&&) = default;
  Guest& operator=(const Guest&) = default;
  Guest& operator=(Guest&&) = default;
};

}  // namespace coffer::emulator
