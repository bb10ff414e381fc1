// Undoes xz, zstd or gzip, told apart by their magic; passes other bytes through.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::guest_image {

// `what` is the verb and its operand, for errors. More than `limit` bytes is kResourceExhausted.
[[nodiscard]] Result<std::string> decompress(std::string_view bytes, const std::string& what,
                                             std::size_t limit);

}  // namespace coffer::guest_image
