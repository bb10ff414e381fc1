// What a broker replies with; the key is one that the input cannot know.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/jose/jwe.h"
#include "attestation/jose/jwk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  // RFC 7518 appendix C, Bob: fixed, so that a finding is one on every run.
  static const auto key =
      jose::parse_private_jwk({{"kty", "EC"},
                               {"crv", "P-256"},
                               {"x", "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"},
                               {"y", "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"},
                               {"d", "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}});
  const auto jwe = jose::parse_jwe(as_text(BytesView(data, size)));
  if (!jwe) return 0;
  const auto secret = jose::decrypt_jwe(*key, *jwe);
  if (!secret) return 0;
  const auto again = jose::encrypt_jwe(key->public_key(), secret->view());
  check(again && jose::decrypt_jwe(*key, *again).has_value(), "what was opened can be sealed");
  return 0;
}
