// Finds the bytes of a signed member in {"<name>": {...}, "signature": "<hex>"}, exactly as they
// were received: re-serialising them would let the signed and the used text differ.
#pragma once

#include <string_view>

#include "base/error.h"

namespace coffer::tdx {

struct SignedMember {
  std::string_view value;      // from '{' to the matching '}'
  std::string_view signature;  // the hex text
};

// `text` must be valid JSON without duplicate keys (parse_json() has accepted it) whose root is an
// object. kInvalidArgument when the two members are not there, or another one is.
[[nodiscard]] Result<SignedMember> find_signed_member(std::string_view text, std::string_view name);

}  // namespace coffer::tdx
