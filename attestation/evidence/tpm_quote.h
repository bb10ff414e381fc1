// The `tpm_quote` object, which "tpm" and Azure's evidence share but for how bytes are written.
#pragma once

#include "attestation/evidence/evidence.h"
#include "attestation/evidence/fields.h"

namespace coffer::evidence {

enum class QuoteForm : std::uint8_t {
  kBase64,  // "tpm"
  kHex,     // Azure, versions 1 and 2
  kInts,    // Azure, version 0; PCRs too
};
// `fields` is the object itself: signature, message, pcrs.
[[nodiscard]] Result<TpmEvidence> parse_tpm_quote(const Fields& fields, QuoteForm form);

}  // namespace coffer::evidence
