// Reading members of evidence: byte strings in the forms that the formats mix.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::evidence {

// An object whose name goes into errors ("snp evidence"). The object must outlive it.
class Fields {
 public:
  // kInvalidArgument unless it is an object.
  [[nodiscard]] static Result<Fields> of(const nlohmann::json& object, std::string_view what);

  [[nodiscard]] bool has(const char* name) const;  // and is not null
  [[nodiscard]] Result<const nlohmann::json*> member(const char* name) const;
  [[nodiscard]] Result<Fields> object(const char* name) const;
  [[nodiscard]] Result<std::string> text(const char* name) const;
  // A whole number from 0 to `max`; never by way of a double.
  [[nodiscard]] Result<std::uint64_t> number(
      const char* name, std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) const;
  // A list of exactly `size` numbers of 0 to 255.
  [[nodiscard]] Result<Bytes> ints(const char* name, std::size_t size) const;
  [[nodiscard]] Result<Bytes> ints_up_to(const char* name, std::size_t max) const;
  // RFC 4648 section 4.
  [[nodiscard]] Result<Bytes> base64(const char* name) const;
  // RFC 4648 section 5, with or without padding.
  [[nodiscard]] Result<Bytes> base64url(const char* name) const;
  [[nodiscard]] Result<Bytes> hex(const char* name) const;

  [[nodiscard]] std::unexpected<Error> refuse(const char* name, std::string_view why) const;

 private:
  Fields(const nlohmann::json* object, std::string what)
      : object_(object), what_(std::move(what)) {}

  const nlohmann::json* object_;
  std::string what_;
};

// At most `max` numbers of 0 to 255; kInvalidArgument otherwise.
[[nodiscard]] Result<Bytes> bytes_of_ints(const nlohmann::json& list, std::size_t max);
[[nodiscard]] nlohmann::json ints_of(BytesView bytes);

}  // namespace coffer::evidence
