// Points in time as certificates, collateral and command lines write them. Time is always passed
// in: nothing here reads a clock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::tee {

// Seconds since 1970-01-01T00:00:00Z.
using UnixTime = std::int64_t;

// RFC 3339 section 5.6: "2026-01-15T00:00:00Z", fractional seconds dropped, "+hh:mm" offsets
// honoured. kInvalidArgument on anything else, with the text.
[[nodiscard]] Result<UnixTime> parse_rfc3339(std::string_view text);
// "2026-01-15T00:00:00Z".
[[nodiscard]] std::string format_rfc3339(UnixTime time);
// Seconds of a proleptic Gregorian date; the fields must be in range.
[[nodiscard]] UnixTime to_unix_time(int year, int month, int day, int hour, int minute, int second);

}  // namespace coffer::tee
