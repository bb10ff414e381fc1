// The YAML reader; what it accepts must survive being written as YAML, and as JSON, and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "policy/value/json.h"
#include "policy/value/value.h"
#include "policy/value/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer::policy;
  const std::string_view text = coffer::as_text({data, size});
  // Shallow, so that the limit on depth is met too.
  const auto value =
      parse_yaml(text, "fuzz", {.max_bytes = std::size_t{1} << 16U, .max_depth = 64});
  if (!value) return 0;
  const auto yaml = parse_yaml(to_yaml(*value), "fuzz");
  coffer::check(yaml.has_value() && *yaml == *value, "YAML does not survive a round trip");
  const auto json = parse_json(to_json(*value), "fuzz");
  coffer::check(json.has_value() && *json == *value, "a YAML document does not survive as JSON");
  return 0;
}
