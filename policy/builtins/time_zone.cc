#include "policy/builtins/time_zone.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"
#include "base/fd.h"

namespace coffer::policy {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20U;
constexpr std::string_view kMagic = "TZif";
constexpr std::size_t kReservedBytes = 15;

// RFC 8536 section 3.1.
struct Header {
  std::uint32_t ut_count, standard_count, leap_count, transition_count, type_count, name_bytes;
};

Result<Header> read_header(ByteReader& reader) {
  COFFER_TRY(const BytesView magic, reader.take(kMagic.size()));
  if (as_text(magic) != kMagic) return fail(Code::kInvalidArgument, "read time zone: no TZif file");
  COFFER_TRY(const std::uint8_t version, reader.u8());
  if (version < '2') return fail(Code::kInvalidArgument, "read time zone: version 1 is too old");
  COFFER_TRY_VOID(reader.skip(kReservedBytes));
  Header header{};
  COFFER_TRY(header.ut_count, reader.u32_be());
  COFFER_TRY(header.standard_count, reader.u32_be());
  COFFER_TRY(header.leap_count, reader.u32_be());
  COFFER_TRY(header.transition_count, reader.u32_be());
  COFFER_TRY(header.type_count, reader.u32_be());
  COFFER_TRY(header.name_bytes, reader.u32_be());
  return header;
}

// Bytes of a data block with times of `time_size` bytes (section 3.2).
std::uint64_t block_size(const Header& h, std::uint64_t time_size) {
  return h.transition_count * (time_size + 1) + std::uint64_t{h.type_count} * 6 + h.name_bytes +
         h.leap_count * (time_size + 4) + h.standard_count + h.ut_count;
}

bool safe_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
  constexpr std::size_t kMaxName = 64;
  return name.size() <= kMaxName && name.front() != '/' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace

Result<TimeZone> TimeZone::load(std::string_view name, std::string_view root) {
  if (name.empty() || name == "UTC" || name == "Local") return TimeZone();
  // The characters allowed keep the path below root: there is no dot among them.
  if (!safe_name(name)) {
    return fail(Code::kNotFound, fmt::format("unknown time zone {}", name));
  }
  auto file = read_file(fmt::format("{}/{}", root, name), kMaxFile);
  if (!file) return fail(Code::kNotFound, fmt::format("unknown time zone {}", name));
  return parse(as_bytes(*file));
}

Result<TimeZone> TimeZone::parse(BytesView file) {
  ByteReader reader(file, "time zone");
  COFFER_TRY(const Header old, read_header(reader));
  COFFER_TRY_VOID(reader.skip(block_size(old, 4)));
  COFFER_TRY(const Header header, read_header(reader));
  if (block_size(header, 8) > reader.remaining()) {
    return fail(Code::kInvalidArgument, "read time zone: counts are past the end of the file");
  }
  TimeZone zone;
  for (std::uint32_t i = 0; i < header.transition_count; ++i) {
    COFFER_TRY(const std::uint64_t time, reader.u64_be());
    zone.transitions_.push_back(static_cast<std::int64_t>(time));
  }
  for (std::uint32_t i = 0; i < header.transition_count; ++i) {
    COFFER_TRY(zone.kinds_.emplace_back(), reader.u8());
    if (zone.kinds_.back() >= header.type_count) {
      return fail(Code::kInvalidArgument, "read time zone: a transition names no type");
    }
  }
  std::vector<std::uint8_t> name_starts;
  for (std::uint32_t i = 0; i < header.type_count; ++i) {
    COFFER_TRY(const std::uint32_t offset, reader.u32_be());
    COFFER_TRY_VOID(reader.skip(1));
    COFFER_TRY(name_starts.emplace_back(), reader.u8());
    zone.types_.push_back({static_cast<std::int32_t>(offset), {}});
  }
  COFFER_TRY(const BytesView names, reader.take(header.name_bytes));
  for (std::size_t i = 0; i < zone.types_.size(); ++i) {
    if (name_starts[i] >= names.size()) {
      return fail(Code::kInvalidArgument, "read time zone: a name starts past the end");
    }
    const std::string_view rest = as_text(names).substr(name_starts[i]);
    zone.types_[i].name = rest.substr(0, rest.find('\0'));
  }
  if (!std::ranges::is_sorted(zone.transitions_)) {
    return fail(Code::kInvalidArgument, "read time zone: transitions are out of order");
  }
  return zone;
}

const TimeZone::Type* TimeZone::type_at(std::int64_t unix_seconds) const {
  if (types_.empty()) return nullptr;
  const auto after = std::ranges::upper_bound(transitions_, unix_seconds);
  if (after == transitions_.begin()) return &types_.front();
  return &types_[kinds_[static_cast<std::size_t>(after - transitions_.begin()) - 1]];
}

ZoneOffset TimeZone::at(std::int64_t unix_seconds) const {
  const Type* type = type_at(unix_seconds);
  return type == nullptr ? ZoneOffset{} : ZoneOffset{type->offset, type->name};
}

std::int64_t TimeZone::to_unix(std::int64_t wall_seconds) const {
  // Offsets change by hours at most: one of those in force a day around the reading is right.
  constexpr std::int64_t kDay = 86400;
  for (const std::int64_t probe : {wall_seconds - kDay, wall_seconds, wall_seconds + kDay}) {
    const std::int64_t moment = wall_seconds - at(probe).seconds;
    if (at(moment).seconds == wall_seconds - moment) return moment;
  }
  // A reading in the gap of a clock set forward: as if the clock had not been set.
  return wall_seconds - at(wall_seconds - kDay).seconds;
}

}  // namespace coffer::policy
