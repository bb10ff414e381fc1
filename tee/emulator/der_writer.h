// Writes DER, for the emulator's certificates and for tests that need odd ones. The inverse of
// tee/der.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/bytes.h"
#include "tee/der.h"
#include "tee/utc_time.h"

namespace coffer::emulator {

[[nodiscard]] Bytes der(std::uint8_t tag, BytesView content);
[[nodiscard]] Bytes der(tee::DerTag tag, BytesView content);
[[nodiscard]] Bytes der_join(std::initializer_list<Bytes> parts);
[[nodiscard]] Bytes der_sequence(std::initializer_list<Bytes> parts);
[[nodiscard]] Bytes der_integer(std::uint64_t value);
// Dotted text, which must be well formed.
[[nodiscard]] Bytes der_oid(std::string_view dotted);
// UTCTime up to 2049, GeneralizedTime after.
[[nodiscard]] Bytes der_time(tee::UnixTime time);
[[nodiscard]] Bytes der_bit_string(BytesView octets);

}  // namespace coffer::emulator
