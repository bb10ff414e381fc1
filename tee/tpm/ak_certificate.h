// Who vouches for an attestation key: the maker of its TPM, or whoever runs the vTPM, by an X.509
// certificate for the key (RFC 5280). Without one, somebody must know the key itself.
#pragma once

#include <span>

#include "tee/public_key.h"
#include "tee/verdict.h"
#include "tee/x509.h"

namespace coffer::tpm {

struct AkEndorsement {
  bool certified = false;  // every check of the certificate held
  bool emulated = false;   // by a throwaway root of tee/emulator
};

// `certificates`: PEM or DER, the key's own first, then at most 3 issuers in any order; the root
// itself need not be there. Adds the checks "ak.certificate", ".key", ".chain" (to one of `roots`,
// octet for octet; issuers are CAs, with room in their path length; no critical extension that we
// do not know; the key's own, if it says for which use it is, for a TPM's attestation) and
// ".validity". Empty certificates, or no roots at all: one check that is waived,
// and nothing is certified. There is no revocation: trust in a key ends with its certificate.
[[nodiscard]] AkEndorsement check_ak_certificate(BytesView certificates, const tee::PublicKey& key,
                                                 std::span<const tee::Certificate> roots,
                                                 tee::UnixTime time, tee::Verdict& verdict);

}  // namespace coffer::tpm
