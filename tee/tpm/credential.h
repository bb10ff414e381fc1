// How an attestation key becomes that of a TPM one trusts, without the TPM at hand: a secret is
// wrapped for the endorsement key (which the maker has certified) and the attestation key's name;
// only a TPM that holds both gives it back.
//
// Format: TPM 2.0 Library part 1 rev. 1.59, 24 (credential protection), B.10 (RSA) and 11.4.10
// (KDFa); part 2, 12.4.3 (TPM2B_ID_OBJECT), 11.4.33 (TPM2B_ENCRYPTED_SECRET).
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tpm {

struct Credential {
  Bytes id_object;         // TPM2B_ID_OBJECT
  Bytes encrypted_secret;  // TPM2B_ENCRYPTED_SECRET
};

// The name of a TPM2B_PUBLIC or TPMT_PUBLIC whose name algorithm is SHA-256: that algorithm's
// identifier, then the digest of the public area (part 1, 16).
[[nodiscard]] Result<Bytes> object_name(BytesView tpm_public);

// `endorsement_key`: TPM2B_PUBLIC or TPMT_PUBLIC of an RSA decryption key with name algorithm
// SHA-256 and AES-128 in CFB mode (the TCG's default template L-1). `secret`: 1 to 32 bytes.
[[nodiscard]] Result<Credential> make_credential(BytesView endorsement_key,
                                                 BytesView attestation_key_name, BytesView secret);

}  // namespace coffer::tpm
