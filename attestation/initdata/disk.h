// The read-only disk by which initdata comes into a guest, as Kata lays it out: 8 bytes "initdata",
// u64 little-endian length of the gzip, the gzip, zeros up to a multiple of 512.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::initdata {

inline constexpr std::string_view kDiskMagic = "initdata";
inline constexpr std::size_t kDiskHeader = 16;
inline constexpr std::size_t kDiskSector = 512;
// Of the gzip; what an annotation of 1 MiB can hold and more.
inline constexpr std::size_t kMaxPacked = std::size_t{1} << 20U;

[[nodiscard]] Bytes make_disk(BytesView packed);

// The length in a header of kDiskHeader bytes. kNotFound when its magic is another's: not such a
// disk. kInvalidArgument for a length of 0 or above kMaxPacked.
[[nodiscard]] Result<std::size_t> read_disk_header(BytesView header);
// The gzip within a whole image, which it points into. The rest must be zero and no larger than it
// has to be.
[[nodiscard]] Result<BytesView> read_disk(BytesView image);

}  // namespace coffer::initdata
