// The JSON reader; what it accepts must survive being written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "policy/value/json.h"
#include "policy/value/value.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coffer::policy::parse_json;
  const std::string_view text = coffer::as_text({data, size});
  if (const auto value = parse_json(text, "fuzz")) {
    const auto again = parse_json(coffer::policy::to_json(*value), "fuzz");
    coffer::check(again.has_value() && *again == *value, "JSON does not survive a round trip");
    coffer::check(again->hash() == value->hash(), "equal values have unequal hashes");
    (void)coffer::policy::to_rego(*value);
  }
  return 0;
}
