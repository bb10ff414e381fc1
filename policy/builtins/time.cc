// time.*: moments are nanoseconds since the epoch, in 64 bits.
//
// The guest's clock is set by the host: a policy that decides by time.now_ns trusts the host.

#include <fmt/format.h>

#include <array>
#include <optional>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/builtins/time_layout.h"
#include "policy/builtins/time_zone.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// A moment in a zone, with the layout a caller gave.
struct Moment {
  std::int64_t seconds = 0;
  std::int64_t nanosecond = 0;
  TimeZone zone;
  std::string layout;

  [[nodiscard]] CivilTime civil() const {
    CivilTime time = civil_from_seconds(seconds + zone.at(seconds).seconds);
    time.nanosecond = nanosecond;
    return time;
  }
};

Result<std::int64_t> nanoseconds(const Value& value, std::size_t position) {
  if (!value.is_number()) return operand_error(position, "number", value);
  const auto ns = to_int64(value);
  if (!ns) {
    return to_bigint(value) ? builtin_error("timestamp too big")
                            : type_error("operand " + std::to_string(position) +
                                         " must be integer number but got floating-point number");
  }
  return *ns;
}

Result<std::string_view> string_item(const Value& array, std::size_t index, std::size_t position) {
  if (index >= array.size()) return std::string_view();
  const Value& item = array.items()[index];
  if (!item.is_string()) return operand_error(position, "string", item);
  return item.as_string();
}

// "ns", "[ns, zone]" or "[ns, zone, layout]".
Result<Moment> moment_operand(std::span<const Value> args, std::size_t position) {
  const Value& operand = args[position - 1];
  if (!operand.is_number() && !operand.is_array()) {
    return operand_error_one_of(position, "number, array", operand);
  }
  if (operand.is_array() && operand.size() == 0) {
    return type_error(fmt::format("operand {} must not be an empty array", position));
  }
  Moment moment;
  const Value& number = operand.is_array() ? operand.items()[0] : operand;
  COFFER_TRY(const std::int64_t ns, nanoseconds(number, position));
  moment.seconds = ns / kNanosPerSecond;
  moment.nanosecond = ns % kNanosPerSecond;
  if (moment.nanosecond < 0) {
    moment.nanosecond += kNanosPerSecond;
    --moment.seconds;
  }
  if (operand.is_array()) {
    COFFER_TRY(const auto zone, string_item(operand, 1, position));
    auto loaded = TimeZone::load(zone);
    if (!loaded) return builtin_error(loaded.error().message());
    moment.zone = *std::move(loaded);
    COFFER_TRY(const auto layout, string_item(operand, 2, position));
    moment.layout = layout;
  }
  return moment;
}

Result<Value> to_value(std::int64_t seconds, std::int64_t nanosecond) {
  // Exact: a long double has 64 bits of significand (number.h), and what needs more is refused.
  const long double total =
      static_cast<long double>(seconds) * kNanosPerSecond + static_cast<long double>(nanosecond);
  constexpr long double kLimit = 9223372036854775808.0L;
  if (total >= kLimit || total < -kLimit) return builtin_error("time outside of valid range");
  return Value::integer(static_cast<std::int64_t>(total));
}

Result<Value> now_ns(BuiltinContext& context, std::span<const Value> /*args*/) {
  return Value::integer(context.now_ns());
}

Result<Value> parse_with(std::string_view layout, std::string_view text) {
  const auto parsed = parse_time(layout, text);
  if (!parsed) return builtin_error(parsed.error().message());
  const std::int64_t wall = seconds_from_civil(parsed->time);
  return to_value(wall - parsed->offset.value_or(0), parsed->time.nanosecond);
}

Result<Value> parse_ns(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto layout, string_operand(args, 1));
  COFFER_TRY(const auto text, string_operand(args, 2));
  return parse_with(expand_layout(layout), text);
}

Result<Value> parse_rfc3339_ns(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return parse_with(expand_layout("RFC3339"), text);
}

std::optional<std::int64_t> unit_nanos(std::string_view unit) {
  if (unit == "ns") return 1;
  if (unit == "us" || unit == "\u00b5s" || unit == "\u03bcs") return 1'000;
  if (unit == "ms") return 1'000'000;
  if (unit == "s") return kNanosPerSecond;
  if (unit == "m") return 60 * kNanosPerSecond;
  if (unit == "h") return 3600 * kNanosPerSecond;
  if (unit == "d") return 86400 * kNanosPerSecond;
  if (unit == "w") return 7 * 86400 * kNanosPerSecond;
  return std::nullopt;
}

// Takes one "1.5h" off a duration, in nanoseconds. The errors are those of Go.
Result<long double> duration_part(std::string_view& rest, std::string_view whole) {
  const std::size_t end = std::min(rest.find_first_not_of("0123456789."), rest.size());
  const std::string digits(rest.substr(0, end));
  if (digits.find_first_of("0123456789") == std::string::npos ||
      digits.find('.') != digits.rfind('.'))
    return builtin_error(fmt::format("time: invalid duration \"{}\"", whole));
  rest.remove_prefix(end);
  const std::string_view unit = rest.substr(0, rest.find_first_of("0123456789."));
  rest.remove_prefix(unit.size());
  if (unit.empty())
    return builtin_error(fmt::format("time: missing unit in duration \"{}\"", whole));
  const auto nanos = unit_nanos(unit);
  if (!nanos)
    return builtin_error(fmt::format("time: unknown unit \"{}\" in duration \"{}\"", unit, whole));
  return std::strtold(digits.c_str(), nullptr) * static_cast<long double>(*nanos);
}

Result<Value> parse_duration_ns(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  const auto invalid = [&] {
    return builtin_error(fmt::format("time: invalid duration \"{}\"", text));
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return Value::integer(0);
  if (rest.empty()) return invalid();
  long double total = 0;
  while (!rest.empty()) {
    COFFER_TRY(const long double part, duration_part(rest, text));
    total += part;
  }
  if (total >= 9223372036854775808.0L) return invalid();
  const auto nanos = static_cast<std::int64_t>(total);
  return Value::integer(negative ? -nanos : nanos);
}

Value triple(std::int64_t a, std::int64_t b, std::int64_t c) {
  return Value::array({Value::integer(a), Value::integer(b), Value::integer(c)});
}

Result<Value> date(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const Moment moment, moment_operand(args, 1));
  const CivilTime time = moment.civil();
  return triple(time.year, time.month, time.day);
}

Result<Value> clock(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const Moment moment, moment_operand(args, 1));
  const CivilTime time = moment.civil();
  return triple(time.hour, time.minute, time.second);
}

Result<Value> weekday(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const Moment moment, moment_operand(args, 1));
  return Value::string(format_time(moment.civil(), {}, "Monday"));
}

Result<Value> format(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const Moment moment, moment_operand(args, 1));
  std::string_view layout = moment.layout;
  if (layout.empty()) layout = "RFC3339Nano";
  COFFER_TRY_VOID(context.check_size(layout.size() * 4, "time.format"));
  return Value::string(
      format_time(moment.civil(), moment.zone.at(moment.seconds), expand_layout(layout)));
}

Result<Value> add_date(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const Moment moment, moment_operand(args, 1));
  CivilTime time = moment.civil();
  std::array<std::int64_t, 3> added{};
  for (std::size_t i = 0; i < added.size(); ++i) {
    COFFER_TRY(added.at(i), int_operand(args, i + 2));
    constexpr std::int64_t kMost = 1'000'000;
    if (added.at(i) > kMost || added.at(i) < -kMost) {
      return builtin_error("time outside of valid range");
    }
  }
  time.year += added[0];
  time.month += static_cast<int>(added[1]);
  time.day += static_cast<int>(added[2]);
  return to_value(moment.zone.to_unix(seconds_from_civil(time)), moment.nanosecond);
}

// Borrows from the next larger unit until `value` is not negative.
void borrow(std::int64_t& value, std::int64_t unit, std::int64_t& larger) {
  if (value >= 0) return;
  value += unit;
  --larger;
}

Result<Value> diff(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(Moment a, moment_operand(args, 1));
  COFFER_TRY(Moment b, moment_operand(args, 2));
  b.zone = a.zone;
  if (std::pair(b.seconds, b.nanosecond) < std::pair(a.seconds, a.nanosecond)) std::swap(a, b);
  const CivilTime from = a.civil();
  const CivilTime to = b.civil();
  std::int64_t year = to.year - from.year;
  std::int64_t month = to.month - from.month;
  std::int64_t day = to.day - from.day;
  std::int64_t hour = to.hour - from.hour;
  std::int64_t minute = to.minute - from.minute;
  std::int64_t second = to.second - from.second;
  if (to.nanosecond < from.nanosecond) --second;
  borrow(second, 60, minute);
  borrow(minute, 60, hour);
  borrow(hour, 24, day);
  borrow(day, days_in_month(from.year, from.month), month);
  borrow(month, 12, year);
  std::vector<Value> parts;
  for (const std::int64_t part : {year, month, day, hour, minute, second}) {
    parts.push_back(Value::integer(part));
  }
  return Value::array(std::move(parts));
}

constexpr std::array<Builtin, 10> kBuiltins = {{
    {"time.now_ns", 0, now_ns, kNondeterministic},
    {"time.parse_ns", 2, parse_ns},
    {"time.parse_rfc3339_ns", 1, parse_rfc3339_ns},
    {"time.parse_duration_ns", 1, parse_duration_ns},
    {"time.date", 1, date},
    {"time.clock", 1, clock},
    {"time.weekday", 1, weekday},
    {"time.format", 1, format},
    {"time.add_date", 4, add_date},
    {"time.diff", 2, diff},
}};

}  // namespace

std::span<const Builtin> time_builtins() { return kBuiltins; }

}  // namespace coffer::policy
