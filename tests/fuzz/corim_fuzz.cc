// A CoRIM as handed over: what is accepted are names and values that survive being stored.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/reference_values/corim.h"
#include "attestation/reference_values/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  static const rv::Signers kSigners{
      .keys = {jose::PrivateKey::generate(jose::KeyType::kEcP256)->public_key()},
      .required = false};
  const BytesView bytes(data, size);
  const auto file = rv::parse_corim(bytes);
  if (file) {
    for (const auto& [name, text] : file->corim.values) {
      check(nlohmann::json::accept(text), "a value that is no JSON");
    }
  }
  if (!rv::looks_like_corim(bytes)) return 0;
  const auto values =
      rv::parse_message(bytes, {.now = 1'800'000'000, .registrar = "f", .signers = kSigners});
  if (!values) return 0;
  check(file.has_value() && !file->signature, "a signature that nobody made was believed");
  for (const auto& value : *values) {
    const auto again = rv::from_json(rv::to_json(value));
    check(again.has_value() && again->value == value.value && again->expires == value.expires,
          "a value does not survive being stored");
  }
  return 0;
}
