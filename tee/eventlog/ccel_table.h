// The ACPI table that says where a TD's event log lies in memory. Linux hands out the log itself
// beside it (/sys/firmware/acpi/tables/data/CCEL); what the table says is the firmware's word.
//
// Layout: ACPI 6.5, section 5.2.34 "Confidential Computing Event Log (CCEL)"; little endian.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::eventlog {

inline constexpr std::size_t kCcelTableSize = 56;
inline constexpr std::uint8_t kCcTypeTdx = 2;

struct CcelTable {
  std::uint8_t cc_type = 0;           // Confidential Computing Type: 1 SEV, 2 TDX
  std::uint8_t cc_subtype = 0;        // Confidential Computing Sub Type
  std::uint64_t log_area_length = 0;  // Log Area Minimum Length (LAML), bytes
  std::uint64_t log_area_start = 0;   // Log Area Start Address (LASA), physical
};

// kInvalidArgument for another size, signature or length, or when the sum of its bytes is not zero
// (5.2.6, "Checksum").
[[nodiscard]] Result<CcelTable> parse_ccel_table(BytesView bytes);

}  // namespace coffer::eventlog
