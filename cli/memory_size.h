// Sizes of memory as QEMU's -m takes them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace coffer::cli {

// "2G", "512M", "2147483648": bytes. `option` names it in errors.
[[nodiscard]] Result<std::uint64_t> parse_memory_size(std::string_view option,
                                                      std::string_view text);

}  // namespace coffer::cli
