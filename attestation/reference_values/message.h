// Reference values as people and tools hand them over.
//
//   RVPS message    {"version": "0.1.0", "type": "sample", "payload": BASE64}, Trustee's; payload
//   of
//                   "sample": an object of name to value
//   list            [{"name", "value", "expiration", "not_before", "source"}, ...]; the last three
//                   may be absent
//   object          {NAME: VALUE, ...}
//   CoRIM           CBOR, signed or not: corim.h; also as an RVPS message of type "corim"
#pragma once

#include <string_view>
#include <vector>

#include "attestation/jose/key.h"
#include "attestation/reference_values/reference_value.h"
#include "base/bytes.h"

namespace coffer::rv {

inline constexpr std::size_t kMaxMessageBytes = std::size_t{8} << 20U;
inline constexpr std::size_t kMaxValues = 10000;  // in one message
// Of values that come without an expiration, as Trustee has it.
inline constexpr tee::UnixTime kDefaultValidity = tee::UnixTime{365} * 24 * 3600;

// Whose signatures under CoRIMs count.
struct Signers {
  std::vector<jose::PublicKey> keys = {};  // EC P-256 or P-384
  bool required = false;                   // what none of them has signed is refused
};

struct MessageContext {
  tee::UnixTime now = 0;
  std::string registrar;
  Signers signers = {};
};

// kInvalidArgument names what is wrong and where; kUnimplemented names a type that we do not read;
// kUnauthenticated: signed, but by none of the signers, or not signed and a signature is required;
// kFailedPrecondition: the manifest, or its signature, is not valid now.
[[nodiscard]] Result<std::vector<ReferenceValue>> parse_message(BytesView message,
                                                                const MessageContext& context);

}  // namespace coffer::rv
