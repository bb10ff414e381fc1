// Time zones from compiled zone files (RFC 8536), which a guest image need not have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::policy {

struct ZoneOffset {
  std::int64_t seconds = 0;  // east of UTC
  std::string name = "UTC";
};

class TimeZone {
 public:
  // UTC.
  TimeZone() = default;
  // "", "UTC" and "Local" are UTC; others are read below `root`. kNotFound for an unknown zone.
  [[nodiscard]] static Result<TimeZone> load(std::string_view name,
                                             std::string_view root = "/usr/share/zoneinfo");
  // A zone file's bytes: bounded, and refused when a count or an index lies.
  [[nodiscard]] static Result<TimeZone> parse(BytesView file);

  // The offset in force at a moment, in seconds since the epoch.
  [[nodiscard]] ZoneOffset at(std::int64_t unix_seconds) const;
  // The moment of a wall clock reading (given as if it were UTC); of two, the earlier.
  [[nodiscard]] std::int64_t to_unix(std::int64_t wall_seconds) const;

 private:
  struct Type {
    std::int64_t offset = 0;
    std::string name;
  };
  [[nodiscard]] const Type* type_at(std::int64_t unix_seconds) const;

  std::vector<std::int64_t> transitions_;
  std::vector<std::uint8_t> kinds_;  // one per transition, an index into types_
  std::vector<Type> types_;
};

}  // namespace coffer::policy
