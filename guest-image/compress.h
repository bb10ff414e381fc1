// Packs an initramfs in a form that the kernel unpacks (lib/decompress*.c of Linux: magic numbers).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::guest_image {

// kLz4 is LZ4's legacy frame, which is the one that the kernel knows: a third larger than zstd, and
// unpacked in a third of the time.
enum class Compression : std::uint8_t { kNone, kZstd, kLz4 };

// "none", "zstd", "lz4"; anything else is kInvalidArgument.
[[nodiscard]] Result<Compression> parse_compression(std::string_view name);

// The same bytes give the same bytes. `level` is zstd's, 1 to 19; the others have none.
[[nodiscard]] Result<std::string> compress(std::string bytes, Compression compression, int level);

}  // namespace coffer::guest_image
