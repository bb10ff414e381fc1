// A TDX event log as policies are given it: what is claimed can be written as JSON, and is bounded.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/service/event_log_claims.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const auto claims = appraisal::event_log_claims({data, size});
  if (!claims) return 0;
  check(claims->size() <= 512, "too many events");
  check(!claims->dump().empty(), "claims that are no JSON");  // throws on a text that is no UTF-8
  return 0;
}
