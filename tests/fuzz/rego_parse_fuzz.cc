// Lexer and parser over arbitrary text, as v0 and v1 module and as query.
#include <cstddef>
#include <cstdint>
#include <string>

#include "policy/syntax/parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coffer::policy::RegoVersion;
  const std::string text(data, data + size);
  for (const RegoVersion version : {RegoVersion::kV0, RegoVersion::kV1}) {
    const coffer::policy::ParseOptions options{.version = version, .experimental_keywords = true};
    (void)coffer::policy::parse_module("fuzz.rego", text, options);
    (void)coffer::policy::parse_query("query", text, options);
  }
  return 0;
}
