#include <nlohmann/json.hpp>

#include "attestation/evidence/evidence.h"
#include "attestation/evidence/fields.h"

namespace coffer::evidence {

Result<tee::Evidence> parse_tdx(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "tdx evidence"));
  tee::Evidence out;
  out.tee = "tdx";
  COFFER_TRY(out.report, fields.base64("quote"));
  if (fields.has("cc_eventlog")) {
    COFFER_TRY(out.manifest, fields.base64("cc_eventlog"));
  }
  return out;
}

Result<nlohmann::json> make_tdx(const tee::Evidence& evidence) {
  if (evidence.tee != "tdx") {
    return fail(Code::kInvalidArgument, "write tdx evidence: it is of '" + evidence.tee + "'");
  }
  nlohmann::json out = {{"cc_eventlog", nullptr}, {"quote", to_base64(evidence.report)}};
  if (!evidence.manifest.empty()) out["cc_eventlog"] = to_base64(evidence.manifest);
  return out;
}

}  // namespace coffer::evidence
