// TDX virtual firmware images: where their TDX metadata says what is loaded into the TD, and how it
// is measured.
//
// Format: Intel TDX Virtual Firmware Design Guide, rev. 004, section 11 (TDVF descriptor and
// sections); the GUIDed table at the end of the image: edk2 OvmfPkg/ResetVector, Ia16/
// ResetVectorVtf0.asm. Little endian.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tdx {

// Section types (table 11-4).
enum class TdvfSectionType : std::uint32_t {
  kBfv = 0,           // boot firmware volume: code
  kCfv = 1,           // configuration firmware volume: variables
  kTdHob = 2,         // where the VMM puts the hand-off blocks
  kTempMemory = 3,    // temporary heap and stack
  kPermMemory = 4,    // permanent memory
  kPayload = 5,       // td-shim: kernel
  kPayloadParam = 6,  // td-shim: kernel parameters
  kTdInfo = 7,        // td-shim
  kTdParams = 8,      // td-shim
};

inline constexpr std::uint32_t kTdvfMrExtend = 1U << 0U;  // content goes into MRTD
inline constexpr std::uint32_t kTdvfPageAug = 1U << 1U;   // added at run time, not measured

struct TdvfSection {
  std::uint32_t data_offset = 0;
  std::uint32_t raw_size = 0;  // 0: nothing in the image, zero pages
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  TdvfSectionType type{};
  std::uint32_t attributes = 0;

  [[nodiscard]] bool extended() const { return (attributes & kTdvfMrExtend) != 0; }
  [[nodiscard]] bool augmented() const { return (attributes & kTdvfPageAug) != 0; }
  // The part of the image that is loaded; empty when raw_size is 0.
  [[nodiscard]] BytesView data(BytesView image) const {
    return image.subspan(data_offset, raw_size);
  }
};

// "BFV", "CFV", ...
[[nodiscard]] std::string_view section_type_name(TdvfSectionType type);

// The sections in the order of the table. kInvalidArgument when the image has no TDX metadata, or
// when it is malformed: a section outside the image, not of whole pages, overlapping another one,
// with more data than memory, of an unknown type or attribute, or more than 64 of them; or more
// measured memory in all than 256 MiB.
[[nodiscard]] Result<std::vector<TdvfSection>> parse_tdvf(BytesView image);

}  // namespace coffer::tdx
