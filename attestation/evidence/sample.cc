#include <nlohmann/json.hpp>

#include "attestation/evidence/evidence.h"
#include "attestation/evidence/fields.h"

namespace coffer::evidence {

Result<SampleEvidence> parse_sample(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "sample evidence"));
  COFFER_TRY(std::string svn, fields.text("svn"));
  COFFER_TRY(Bytes report_data, fields.base64("report_data"));
  return SampleEvidence{.svn = std::move(svn), .report_data = std::move(report_data)};
}

nlohmann::json make_sample(BytesView report_data) {
  return {{"svn", "1"}, {"report_data", to_base64(report_data)}};
}

}  // namespace coffer::evidence
