#include "tee/utc_time.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>

namespace coffer::tee {
namespace {

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool char_is(std::string_view text, std::size_t at, char upper, char lower) {
  return at < text.size() && (text[at] == upper || text[at] == lower);
}

// The offset east of UTC in seconds: "Z" or "+hh:mm" as the whole of `text`.
std::optional<int> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = digits(text, 1, 2);
  const auto minutes = digits(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const int seconds = (*hours * 60 + *minutes) * 60;
  return text[0] == '-' ? -seconds : seconds;
}

std::optional<UnixTime> parse(std::string_view text) {
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || !char_is(text, 10, 'T', 't') || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::size_t at = 19;
  if (char_is(text, at, '.', '.')) {
    const std::size_t first = ++at;
    while (digits(text, at, 1)) ++at;
    if (at == first) return std::nullopt;
  }
  const auto offset = parse_offset(text.substr(at));
  if (!offset) return std::nullopt;
  return to_unix_time(*year, *month, *day, *hour, *minute, *second) - *offset;
}

void put_digits(std::string& out, std::size_t at, std::size_t count, unsigned value) {
  for (std::size_t i = count; i-- > 0; value /= 10) {
    out[at + i] = static_cast<char>('0' + value % 10);
  }
}

}  // namespace

UnixTime to_unix_time(int year, int month, int day, int hour, int minute, int second) {
  const std::chrono::sys_days days = std::chrono::year_month_day{
      std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
      std::chrono::day{static_cast<unsigned>(day)}};
  const UnixTime day_number = days.time_since_epoch().count();
  return ((day_number * 24 + hour) * 60 + minute) * 60 + second;
}

Result<UnixTime> parse_rfc3339(std::string_view text) {
  if (const auto time = parse(text)) return *time;
  return fail(Code::kInvalidArgument,
              fmt::format("parse time '{}': not as 2026-01-15T00:00:00Z", text));
}

std::string format_rfc3339(UnixTime time) {
  const std::chrono::sys_seconds seconds{std::chrono::seconds{time}};
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{seconds - days};
  const auto year = static_cast<int>(date.year());
  if (year < 0 || year > 9999) return fmt::format("@{}", time);  // RFC 3339 has no such year
  // By hand, as a verdict holds a score of times.
  std::string out = "0000-00-00T00:00:00Z";
  put_digits(out, 0, 4, static_cast<unsigned>(year));
  put_digits(out, 5, 2, static_cast<unsigned>(date.month()));
  put_digits(out, 8, 2, static_cast<unsigned>(date.day()));
  put_digits(out, 11, 2, static_cast<unsigned>(clock.hours().count()));
  put_digits(out, 14, 2, static_cast<unsigned>(clock.minutes().count()));
  put_digits(out, 17, 2, static_cast<unsigned>(clock.seconds().count()));
  return out;
}

}  // namespace coffer::tee
