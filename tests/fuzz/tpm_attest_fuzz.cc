// A TPM quote is the guest's word: attestation, signature, key and PCR values.
#include <cstddef>
#include <cstdint>

#include "tee/tpm/key.h"
#include "tee/tpm/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const BytesView bytes(data, size);
  static_cast<void>(tpm::parse_attest(bytes));
  static_cast<void>(tpm::parse_signature(bytes));
  static_cast<void>(tpm::parse_attestation_key(bytes));
  static_cast<void>(tpm::parse_pcrs(as_text(bytes)));
  return 0;
}
