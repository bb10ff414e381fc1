// gzip (RFC 1952), in memory and bounded.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::initdata {

// No name and no time in its header: the same text gives the same bytes.
[[nodiscard]] Bytes gzip(std::string_view text);

// One member and nothing after it. kInvalidArgument when it is damaged, cut, or followed by
// anything; kResourceExhausted when more than `limit` bytes come out.
[[nodiscard]] Result<std::string> gunzip(BytesView bytes, std::size_t limit);

}  // namespace coffer::initdata
