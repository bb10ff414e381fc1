// Reference values as handed over: what is accepted survives being stored.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/reference_values/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const auto values = rv::parse_message({data, size}, {.now = 1'800'000'000, .registrar = "f"});
  if (!values) return 0;
  for (const auto& value : *values) {
    const auto again = rv::from_json(rv::to_json(value));
    check(again.has_value() && again->value == value.value && again->expires == value.expires,
          "a value does not survive being stored");
  }
  return 0;
}
