// The TPM verifier behind the interface that every TEE has.
#pragma once

#include <memory>

#include "tee/tpm/key.h"
#include "tee/tpm/verify.h"
#include "tee/verifier.h"

namespace coffer::tpm {

// Reads what make_attester() of device.h gives. `trusted_key` is the attestation key that the
// relying party has tied to a TPM it trusts (credential.h, or hardware evidence); the one that
// comes with the evidence is the guest's word and is not looked at. The report data is the quote's
// nonce, byte for byte. An auxiliary part that cannot be read is a failed check,
// "evidence.auxiliary". The time is not used: nothing here expires.
[[nodiscard]] std::unique_ptr<tee::Verifier> make_verifier(AttestationKey trusted_key,
                                                           Expectations expectations);

}  // namespace coffer::tpm
