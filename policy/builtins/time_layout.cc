#include "policy/builtins/time_layout.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace coffer::policy {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::size_t kShortName = 3;

enum class Field : std::uint8_t {
  kLiteral,
  kLongMonth,
  kMonth,
  kNumMonth,
  kZeroMonth,
  kLongWeekday,
  kWeekday,
  kDay,
  kUnderDay,
  kZeroDay,
  kYearDay,
  kHour,
  kHour12,
  kZeroHour12,
  kMinute,
  kZeroMinute,
  kSecond,
  kZeroSecond,
  kLongYear,
  kYear,
  kUpperPm,
  kLowerPm,
  kZoneName,
  kIsoZone,         // Z0700
  kIsoColonZone,    // Z07:00
  kIsoShortZone,    // Z07
  kNumZone,         // -0700
  kNumColonZone,    // -07:00
  kNumShortZone,    // -07
  kFraction,        // .000 or ,000
  kTrimmedFraction  // .999 or ,999
};

struct Pattern {
  std::string_view text;
  Field field;
};
// Longer texts stand before their prefixes.
constexpr Pattern kPatterns[] = {
    {"January", Field::kLongMonth}, {"Jan", Field::kMonth},        {"Monday", Field::kLongWeekday},
    {"Mon", Field::kWeekday},       {"MST", Field::kZoneName},     {"002", Field::kYearDay},
    {"01", Field::kZeroMonth},      {"02", Field::kZeroDay},       {"03", Field::kZeroHour12},
    {"04", Field::kZeroMinute},     {"05", Field::kZeroSecond},    {"06", Field::kYear},
    {"15", Field::kHour},           {"2006", Field::kLongYear},    {"_2006", Field::kLiteral},
    {"_2", Field::kUnderDay},       {"1", Field::kNumMonth},       {"2", Field::kDay},
    {"3", Field::kHour12},          {"4", Field::kMinute},         {"5", Field::kSecond},
    {"PM", Field::kUpperPm},        {"pm", Field::kLowerPm},       {"-07:00", Field::kNumColonZone},
    {"-0700", Field::kNumZone},     {"-07", Field::kNumShortZone}, {"Z07:00", Field::kIsoColonZone},
    {"Z0700", Field::kIsoZone},     {"Z07", Field::kIsoShortZone},
};

struct Piece {
  Field field;
  std::string_view text;  // as it stands in the layout
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// ".000", ",999": a separator and a run of one digit that is not followed by another digit.
std::size_t fraction_length(std::string_view rest) {
  if (rest.size() < 2 || (rest[0] != '.' && rest[0] != ',')) return 0;
  if (rest[1] != '0' && rest[1] != '9') return 0;
  std::size_t end = 1;
  while (end < rest.size() && rest[end] == rest[1]) ++end;
  return end < rest.size() && is_digit(rest[end]) ? 0 : end;
}

// The first piece of a non-empty layout.
Piece next_piece(std::string_view layout) {
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const std::string_view rest = layout.substr(i);
    Piece found{Field::kLiteral, {}};
    if (const std::size_t length = fraction_length(rest); length > 0) {
      found = {rest[1] == '0' ? Field::kFraction : Field::kTrimmedFraction, rest.substr(0, length)};
    }
    for (const Pattern& pattern : kPatterns) {
      if (found.text.empty() && rest.starts_with(pattern.text)) {
        found = {pattern.field, rest.substr(0, pattern.text.size())};
      }
    }
    if (found.text == "_2006") {
      // An underscore before a year is only an underscore.
      return i > 0 ? Piece{Field::kLiteral, layout.substr(0, i + 1)}
                   : Piece{Field::kLiteral, layout.substr(0, 1)};
    }
    if (!found.text.empty()) {
      return i > 0 ? Piece{Field::kLiteral, layout.substr(0, i)} : found;
    }
  }
  return {Field::kLiteral, layout};
}

// Howard Hinnant's algorithms: days since 1970-01-01 from a civil date and back.
std::int64_t days_from_civil(std::int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

int year_day(const CivilTime& time) {
  return static_cast<int>(days_from_civil(time.year, time.month, time.day) -
                          days_from_civil(time.year, 1, 1)) +
         1;
}

std::string zone_text(std::int64_t offset, Field field) {
  const bool iso =
      field == Field::kIsoZone || field == Field::kIsoColonZone || field == Field::kIsoShortZone;
  if (iso && offset == 0) return "Z";
  const char sign = offset < 0 ? '-' : '+';
  const std::int64_t minutes = (offset < 0 ? -offset : offset) / 60;
  if (field == Field::kIsoShortZone || field == Field::kNumShortZone) {
    return fmt::format("{}{:02}", sign, minutes / 60);
  }
  const bool colon = field == Field::kIsoColonZone || field == Field::kNumColonZone;
  return fmt::format("{}{:02}{}{:02}", sign, minutes / 60, colon ? ":" : "", minutes % 60);
}

std::string fraction_text(std::int64_t nanosecond, std::string_view form, bool trim) {
  std::string digits = fmt::format("{:09}", nanosecond).substr(0, form.size() - 1);
  while (trim && digits.ends_with('0')) digits.pop_back();
  if (trim && digits.empty()) return "";
  return form.substr(0, 1).data()[0] + digits;
}

int hour12(int hour) { return hour % 12 == 0 ? 12 : hour % 12; }

std::string field_text(const CivilTime& t, const ZoneOffset& zone, const Piece& piece) {
  const auto month = kMonths.at(static_cast<std::size_t>(t.month - 1));
  const auto day = kDays.at(static_cast<std::size_t>(t.weekday));
  switch (piece.field) {
    case Field::kLiteral:
      return std::string(piece.text);
    case Field::kLongMonth:
      return std::string(month);
    case Field::kMonth:
      return std::string(month.substr(0, kShortName));
    case Field::kNumMonth:
      return std::to_string(t.month);
    case Field::kZeroMonth:
      return fmt::format("{:02}", t.month);
    case Field::kLongWeekday:
      return std::string(day);
    case Field::kWeekday:
      return std::string(day.substr(0, kShortName));
    case Field::kDay:
      return std::to_string(t.day);
    case Field::kUnderDay:
      return fmt::format("{:2}", t.day);
    case Field::kZeroDay:
      return fmt::format("{:02}", t.day);
    case Field::kYearDay:
      return fmt::format("{:03}", year_day(t));
    case Field::kHour:
      return fmt::format("{:02}", t.hour);
    case Field::kHour12:
      return std::to_string(hour12(t.hour));
    case Field::kZeroHour12:
      return fmt::format("{:02}", hour12(t.hour));
    case Field::kMinute:
      return std::to_string(t.minute);
    case Field::kZeroMinute:
      return fmt::format("{:02}", t.minute);
    case Field::kSecond:
      return std::to_string(t.second);
    case Field::kZeroSecond:
      return fmt::format("{:02}", t.second);
    case Field::kLongYear:
      return fmt::format("{:04}", t.year);
    case Field::kYear:
      return fmt::format("{:02}", t.year % 100);
    case Field::kUpperPm:
      return t.hour >= 12 ? "PM" : "AM";
    case Field::kLowerPm:
      return t.hour >= 12 ? "pm" : "am";
    case Field::kZoneName:
      return zone.name;
    case Field::kFraction:
    case Field::kTrimmedFraction:
      return fraction_text(t.nanosecond, piece.text, piece.field == Field::kTrimmedFraction);
    default:
      return zone_text(zone.seconds, piece.field);
  }
}

// Reads one text against one layout.
class Parser {
 public:
  Parser(std::string_view layout, std::string_view text)
      : layout_(layout), text_(text), rest_(text) {}

  Result<ParsedTime> parse() {
    std::string_view left = layout_;
    while (!left.empty()) {
      const Piece piece = next_piece(left);
      left.remove_prefix(piece.text.size());
      const std::string_view next = left;
      if (!read(piece, next)) return mismatch();
    }
    if (!rest_.empty()) return mismatch();
    return finish();
  }

 private:
  std::unexpected<Error> mismatch() const {
    return fail(
        Code::kInvalidArgument,
        fmt::format("parsing time \"{}\" as \"{}\": cannot parse \"{}\"", text_, layout_, rest_));
  }

  std::optional<int> number(std::size_t least, std::size_t most) {
    std::size_t length = 0;
    int value = 0;
    while (length < most && length < rest_.size() && is_digit(rest_[length])) {
      value = value * 10 + (rest_[length] - '0');
      ++length;
    }
    if (length < least) return std::nullopt;
    rest_.remove_prefix(length);
    return value;
  }

  bool number_into(int& target, std::size_t least, std::size_t most, int low, int high) {
    const auto value = number(least, most);
    if (!value || *value < low || *value > high) return false;
    target = *value;
    return true;
  }

  template <std::size_t N>
  bool name_into(int& target, const std::array<std::string_view, N>& names, bool full, int base) {
    for (std::size_t i = 0; i < N; ++i) {
      const std::string_view name = full ? names.at(i) : names.at(i).substr(0, kShortName);
      if (rest_.starts_with(name)) {
        rest_.remove_prefix(name.size());
        target = static_cast<int>(i) + base;
        return true;
      }
    }
    return false;
  }

  bool zone(Field field) {
    const bool iso =
        field == Field::kIsoZone || field == Field::kIsoColonZone || field == Field::kIsoShortZone;
    if (iso && rest_.starts_with('Z')) {
      rest_.remove_prefix(1);
      offset_ = 0;
      return true;
    }
    if (!rest_.starts_with('+') && !rest_.starts_with('-')) return false;
    const bool negative = rest_[0] == '-';
    rest_.remove_prefix(1);
    const auto hours = number(2, 2);
    std::optional<int> minutes = 0;
    if (field == Field::kIsoColonZone || field == Field::kNumColonZone) {
      if (!rest_.starts_with(':')) return false;
      rest_.remove_prefix(1);
      minutes = number(2, 2);
    } else if (field == Field::kIsoZone || field == Field::kNumZone) {
      minutes = number(2, 2);
    }
    if (!hours || !minutes || *hours > 24 || *minutes > 59) return false;
    const std::int64_t seconds = std::int64_t{*hours} * 3600 + std::int64_t{*minutes} * 60;
    offset_ = negative ? -seconds : seconds;
    return true;
  }

  // Digits after a point: exactly `digits` of them, or as many as there are (0).
  bool fraction(std::size_t digits) {
    if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',')) return false;
    std::size_t length = 0;
    std::int64_t value = 0;
    std::int64_t scale = 1'000'000'000;
    while (length + 1 < rest_.size() && is_digit(rest_[length + 1]) &&
           (digits == 0 || length < digits)) {
      if (scale > 1) {
        scale /= 10;
        value += (rest_[length + 1] - '0') * scale;
      }
      ++length;
    }
    if (length == 0 || (digits != 0 && length != digits)) return false;
    rest_.remove_prefix(length + 1);
    time_.nanosecond = value;
    return true;
  }

  bool second(std::size_t least, std::string_view next) {
    if (!number_into(time_.second, least, 2, 0, 59)) return false;
    // A fraction in the text is taken even when the layout has none there.
    const bool layout_has_one = !next.empty() && fraction_length(next) > 0;
    if (!layout_has_one && rest_.size() >= 2 && (rest_[0] == '.' || rest_[0] == ',') &&
        is_digit(rest_[1])) {
      return fraction(0);
    }
    return true;
  }

  bool half_day(bool upper) {
    const std::string_view pm = upper ? "PM" : "pm";
    const std::string_view am = upper ? "AM" : "am";
    if (!rest_.starts_with(pm) && !rest_.starts_with(am)) return false;
    afternoon_ = rest_.starts_with(pm);
    rest_.remove_prefix(2);
    return true;
  }

  bool zone_name() {
    std::size_t length = 0;
    while (length < rest_.size() && rest_[length] >= 'A' && rest_[length] <= 'Z') ++length;
    if (length < 3 || length > 5) return false;
    if (rest_.substr(0, length) == "UTC" || rest_.substr(0, length) == "GMT") offset_ = 0;
    rest_.remove_prefix(length);
    return true;
  }

  bool literal(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  bool year(std::size_t digits) {
    int value = 0;
    if (!number_into(value, digits, digits, 0, 9999)) return false;
    time_.year = digits == 4 ? value : value + (value >= 69 ? 1900 : 2000);
    return true;
  }

  bool read(const Piece& piece, std::string_view next) {
    switch (piece.field) {
      case Field::kLiteral:
        return literal(piece.text);
      case Field::kLongMonth:
      case Field::kMonth:
        return name_into(time_.month, kMonths, piece.field == Field::kLongMonth, 1);
      case Field::kNumMonth:
        return number_into(time_.month, 1, 2, 1, 12);
      case Field::kZeroMonth:
        return number_into(time_.month, 2, 2, 1, 12);
      case Field::kLongWeekday:
      case Field::kWeekday:
        return name_into(time_.weekday, kDays, piece.field == Field::kLongWeekday, 0);
      case Field::kUnderDay:
        if (rest_.starts_with(' ')) rest_.remove_prefix(1);
        return number_into(time_.day, 1, 2, 1, 31);
      case Field::kDay:
        return number_into(time_.day, 1, 2, 1, 31);
      case Field::kZeroDay:
        return number_into(time_.day, 2, 2, 1, 31);
      case Field::kYearDay:
        return number_into(year_day_, 3, 3, 1, 366);
      case Field::kHour:
        return number_into(time_.hour, 2, 2, 0, 23);
      case Field::kHour12:
        return number_into(time_.hour, 1, 2, 0, 12);
      case Field::kZeroHour12:
        return number_into(time_.hour, 2, 2, 0, 12);
      case Field::kMinute:
        return number_into(time_.minute, 1, 2, 0, 59);
      case Field::kZeroMinute:
        return number_into(time_.minute, 2, 2, 0, 59);
      case Field::kSecond:
        return second(1, next);
      case Field::kZeroSecond:
        return second(2, next);
      case Field::kLongYear:
        return year(4);
      case Field::kYear:
        return year(2);
      case Field::kUpperPm:
      case Field::kLowerPm:
        return half_day(piece.field == Field::kUpperPm);
      case Field::kZoneName:
        return zone_name();
      case Field::kFraction:
        return fraction(piece.text.size() - 1);
      case Field::kTrimmedFraction:
        return rest_.empty() || (rest_[0] != '.' && rest_[0] != ',') || fraction(0);
      default:
        return zone(piece.field);
    }
  }

  Result<ParsedTime> finish() {
    if (afternoon_) {
      if (*afternoon_ && time_.hour < 12) time_.hour += 12;
      if (!*afternoon_ && time_.hour == 12) time_.hour = 0;
    }
    if (year_day_ > 0) {
      CivilTime january = time_;
      january.month = 1;
      january.day = year_day_;
      const CivilTime date = civil_from_seconds(seconds_from_civil(january));
      time_.month = date.month;
      time_.day = date.day;
    }
    if (time_.day > days_in_month(time_.year, time_.month)) {
      return fail(Code::kInvalidArgument,
                  fmt::format("parsing time \"{}\": day out of range", text_));
    }
    return ParsedTime{time_, offset_};
  }

  std::string_view layout_, text_, rest_;
  // Fields the layout lacks are zero, and Go's zero year is 0.
  CivilTime time_{.year = 0};
  int year_day_ = 0;
  std::optional<bool> afternoon_;
  std::optional<std::int64_t> offset_;
};

}  // namespace

int days_in_month(std::int64_t year, int month) {
  constexpr std::array<int, 12> kLengths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kLengths.at(static_cast<std::size_t>(month - 1)) + (month == 2 && leap ? 1 : 0);
}

CivilTime civil_from_seconds(std::int64_t wall_seconds) {
  constexpr std::int64_t kDay = 86400;
  std::int64_t days = wall_seconds / kDay;
  std::int64_t in_day = wall_seconds % kDay;
  if (in_day < 0) {
    in_day += kDay;
    --days;
  }
  CivilTime time;
  const std::int64_t shifted = days + 719468;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const std::int64_t day_of_era = shifted - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_index = (5 * day_of_year + 2) / 153;
  time.day = static_cast<int>(day_of_year - (153 * month_index + 2) / 5 + 1);
  time.month = static_cast<int>(month_index < 10 ? month_index + 3 : month_index - 9);
  time.year = year_of_era + era * 400 + (time.month <= 2 ? 1 : 0);
  time.hour = static_cast<int>(in_day / 3600);
  time.minute = static_cast<int>(in_day / 60 % 60);
  time.second = static_cast<int>(in_day % 60);
  time.weekday = static_cast<int>(((days % 7) + 11) % 7);
  return time;
}

std::int64_t seconds_from_civil(const CivilTime& time) {
  const std::int64_t months = time.year * 12 + time.month - 1;
  const std::int64_t year = (months >= 0 ? months : months - 11) / 12;
  const auto month = static_cast<int>(months - year * 12) + 1;
  const std::int64_t days = days_from_civil(year, month, 1) + time.day - 1;
  return days * 86400 + std::int64_t{time.hour} * 3600 + std::int64_t{time.minute} * 60 +
         time.second;
}

std::string_view expand_layout(std::string_view layout) {
  static constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
      {"ANSIC", "Mon Jan _2 15:04:05 2006"},
      {"UnixDate", "Mon Jan _2 15:04:05 MST 2006"},
      {"RubyDate", "Mon Jan 02 15:04:05 -0700 2006"},
      {"RFC822", "02 Jan 06 15:04 MST"},
      {"RFC822Z", "02 Jan 06 15:04 -0700"},
      {"RFC850", "Monday, 02-Jan-06 15:04:05 MST"},
      {"RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"},
      {"RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"},
      {"RFC3339", "2006-01-02T15:04:05Z07:00"},
      {"RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"},
  };
  for (const auto& [name, text] : kNamed) {
    if (layout == name) return text;
  }
  return layout;
}

std::string format_time(const CivilTime& time, const ZoneOffset& zone, std::string_view layout) {
  std::string out;
  while (!layout.empty()) {
    const Piece piece = next_piece(layout);
    layout.remove_prefix(piece.text.size());
    out += field_text(time, zone, piece);
  }
  return out;
}

Result<ParsedTime> parse_time(std::string_view layout, std::string_view text) {
  return Parser(layout, text).parse();
}

}  // namespace coffer::policy
