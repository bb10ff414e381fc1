// One reference value: what a named claim of evidence may be, from when to when, and on whose word.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tee/utc_time.h"

namespace coffer::rv {

inline constexpr std::size_t kMaxNameBytes = 512;
// Of the value as JSON text.
inline constexpr std::size_t kMaxValueBytes = std::size_t{1} << 20U;

struct Provenance {
  std::string format;     // "sample", "json", "corim"
  std::string source;     // what the message says of itself: a file, an image, a CoRIM's id
  std::string digest;     // SHA-256 of the message, hex
  std::string signer;     // thumbprint of the key whose signature was verified; empty: unsigned
  std::string registrar;  // the admin's name
  tee::UnixTime registered = 0;
};

struct ReferenceValue {
  std::string name;
  std::string value;             // JSON text, compact
  tee::UnixTime not_before = 0;  // first second of validity
  tee::UnixTime expires = 0;     // first second after it
  Provenance provenance;
};

enum class Validity : std::uint8_t { kValid, kNotYet, kExpired };
[[nodiscard]] Validity validity_at(const ReferenceValue& value, tee::UnixTime time);

// {"name", "value", "not_before", "expiration", "provenance": {...}}; times in RFC 3339.
[[nodiscard]] nlohmann::json to_json(const ReferenceValue& value);
// Of what to_json() gave. kDataLoss when it is something else.
[[nodiscard]] Result<ReferenceValue> from_json(const nlohmann::json& object);

// 1 to kMaxNameBytes bytes of valid UTF-8 without control characters.
[[nodiscard]] Status check_value_name(std::string_view name);

}  // namespace coffer::rv
