// A guest's key, a policy author's, a token's header: whoever sends it chooses every number.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"
#include "base/bytes.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const auto value = parse_json(as_text(BytesView(data, size)), "input");
  if (!value) return 0;
  (void)jose::parse_private_jwk(*value);
  const auto jwk = jose::parse_jwk(*value);
  if (!jwk) return 0;
  const auto written = jose::to_jwk(jwk->key);
  check(written.has_value(), "a key that was read can be written");
  const auto again = jose::parse_jwk(*written);
  check(again && again->key == jwk->key, "a key is read as it was written");
  check(jose::jwk_thumbprint(jwk->key).has_value(), "a key has a thumbprint");
  if (const auto tee = jose::parse_tee_pubkey(*value)) {
    check(jose::to_tee_pubkey(*tee).has_value(), "a TEE's key has its form");
  }
  return 0;
}
