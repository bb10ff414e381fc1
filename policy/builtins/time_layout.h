// Civil time, and Go's layouts: a layout is the reference time "Mon Jan 2 15:04:05 MST 2006"
// written in the wanted form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/builtins/time_zone.h"

namespace coffer::policy {

// A date and a time of day; proleptic Gregorian.
struct CivilTime {
  std::int64_t year = 1970;
  int month = 1, day = 1;  // from 1
  int hour = 0, minute = 0, second = 0;
  std::int64_t nanosecond = 0;
  int weekday = 4;  // 0 is Sunday
};

[[nodiscard]] CivilTime civil_from_seconds(std::int64_t wall_seconds);
// Days and months out of their ranges carry over, as Go's time.Date.
[[nodiscard]] std::int64_t seconds_from_civil(const CivilTime& time);
[[nodiscard]] int days_in_month(std::int64_t year, int month);

// The names OPA knows for Go's constants: "RFC3339" and so on; other text is a layout itself.
[[nodiscard]] std::string_view expand_layout(std::string_view layout);

[[nodiscard]] std::string format_time(const CivilTime& time, const ZoneOffset& zone,
                                      std::string_view layout);

struct ParsedTime {
  CivilTime time;
  std::optional<std::int64_t> offset;  // seconds east of UTC, when the text says so
};
// kInvalidArgument when `text` does not have the layout's form or a field is out of range.
[[nodiscard]] Result<ParsedTime> parse_time(std::string_view layout, std::string_view text);

}  // namespace coffer::policy
