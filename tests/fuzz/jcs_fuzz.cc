// Canonical JSON of whatever a broker or guest sends: canonical text reads back as itself.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/jose/jcs.h"
#include "base/bytes.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const auto value = parse_json(as_text(BytesView(data, size)), "input");
  if (!value) return 0;
  const auto text = jose::canonical_json(*value);
  if (!text) return 0;
  const auto again = parse_json(*text, "canonical text");
  check(again.has_value(), "canonical text is JSON");
  check(jose::canonical_json(*again).value() == *text, "canonical text is canonical");
  return 0;
}
