// Endorsements from AMD's and Intel's services, as far as the configuration names them.
#pragma once

#include <memory>

#include "attestation/kbs/config.h"
#include "attestation/service/evidence_verifier.h"
#include "attestation/store/store.h"

namespace coffer::kbs {

// Null: the configuration names neither. `store` must outlive it. `threads` of the server: only
// half of them may wait for a fetch.
[[nodiscard]] Result<std::unique_ptr<appraisal::EndorsementSource>> make_remote_endorsements(
    const Config& config, store::Store& store, std::size_t threads);

}  // namespace coffer::kbs
