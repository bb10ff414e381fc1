// Tokens and sealed secrets: nothing that is not signed with the key may verify.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/guest_api/sealed_secret.h"
#include "attestation/jose/jws.h"
#include "base/bytes.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  static const auto key = jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto text = as_text(BytesView(data, size));
  const auto fetch = [](const protocol::ResourceUri&) -> Result<SecretBytes> {
    return SecretBytes(Bytes(32));
  };
  (void)guest_api::unseal(text, fetch, {.key_folder = "/nonexistent", .skip_verification = true});
  (void)guest_api::unseal(text, fetch, {.key_folder = "/nonexistent"});
  const auto jws = jose::parse_jws(text);
  if (!jws) return 0;
  check(!jose::verify_jws(*jws, key->public_key()), "a fresh key has signed nothing");
  if (const auto claims = parse_json(jws->payload, "claims")) {
    (void)jose::check_token_times(*claims, 1'800'000'000);
    (void)jose::token_expiry(*claims);
  }
  return 0;
}
