// Reference values as people and tools hand them over.
//
//   RVPS message    {"version": "0.1.0", "type": "sample", "payload": BASE64}, Trustee's; payload
//   of
//                   "sample": an object of name to value
//   list            [{"name", "value", "expiration", "not_before", "source"}, ...]; the last three
//                   may be absent
//   object          {NAME: VALUE, ...}
#pragma once

#include <string_view>
#include <vector>

#include "attestation/reference_values/reference_value.h"
#include "base/bytes.h"

namespace coffer::rv {

inline constexpr std::size_t kMaxMessageBytes = std::size_t{8} << 20U;
inline constexpr std::size_t kMaxValues = 10000;  // in one message
// Of values that come without an expiration, as Trustee has it.
inline constexpr tee::UnixTime kDefaultValidity = tee::UnixTime{365} * 24 * 3600;

struct MessageContext {
  tee::UnixTime now = 0;
  std::string registrar;
};

// kInvalidArgument names what is wrong and where; kUnimplemented names a type that we do not read.
[[nodiscard]] Result<std::vector<ReferenceValue>> parse_message(BytesView message,
                                                                const MessageContext& context);

}  // namespace coffer::rv
