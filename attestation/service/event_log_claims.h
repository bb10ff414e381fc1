// A TDX event log as policies read it (Trustee's `uefi_event_logs`).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/eventlog/event_log.h"

namespace coffer::appraisal {

// What the verifier has replayed to the quote's registers:
//   [{"index": register (1 is RTMR0), "type_name", "digest_matches_event", "digests": [{"alg":
//   "SHA-384", "digest": hex}], "details": {...}}]
// in the log's order, at most 512 of them. Trustee's "event", the whole data, is left out: it makes
// tokens larger than what headers carry. kInvalidArgument when the log cannot be read.
[[nodiscard]] Result<nlohmann::json> event_log_claims(BytesView log);

// Of one event, by its type, as far as it has any: "device_paths" of a loaded image, "string" of a
// tagged event, an action or a loader's text, "unicode_name" and lengths of a variable, "data"
// {"domain", "operation", "content"} of what the attestation agent has measured. Texts are cut at
// 4 KiB.
[[nodiscard]] nlohmann::json event_details(const eventlog::Event& event);

}  // namespace coffer::appraisal
