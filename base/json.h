// JSON from anywhere untrusted: parsed with bounds on size and depth, without exceptions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer {

struct JsonLimits {
  std::size_t max_bytes = std::size_t{16} << 20U;
  std::size_t max_depth = 64;
  // Objects with a key that stands twice are refused: readers disagree on which one counts.
  bool refuse_duplicate_keys = true;
  // Lists of natural numbers below 256, one at least, become nlohmann's binary values: a sixteenth
  // of the memory, and of the time that it takes to make and free them. For whoever expects them.
  bool lists_as_bytes = false;
};

// kInvalidArgument with the byte offset and the cause; `what` names the document. Invalid UTF-8 and
// trailing text are refused.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, std::string_view what,
                                                const JsonLimits& limits = {});

// Compact text, as nlohmann's dump() with error_handler_t::replace writes it, at a fraction of its
// cost: what is no UTF-8 becomes U+FFFD, what is not finite null. A binary value is a list of
// numbers.
[[nodiscard]] std::string dump_json(const nlohmann::json& value);

}  // namespace coffer
