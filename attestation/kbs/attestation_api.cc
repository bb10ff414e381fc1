#include "attestation/kbs/attestation_api.h"

#include <fmt/format.h>

#include "attestation/jose/key_wrap.h"
#include "attestation/kbs/broker.h"
#include "attestation/kbs/http.h"
#include "attestation/protocol/report_data.h"
#include "attestation/reference_values/message.h"
#include "base/json.h"
#include "rpc/protos/attestation_service.pb.h"
#include "rpc/protos/reference_values.pb.h"

namespace coffer::kbs {
namespace {

constexpr std::size_t kNonceBytes = 32;
constexpr std::size_t kMaxReportData = 64;
constexpr std::size_t kMaxDigest = 64;

std::unexpected<Error> refuse(std::string_view field, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read request: '{}': {}", field, why));
}

// Clients differ on padding.
Result<Bytes> decoded(std::string_view field, std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  auto bytes = from_base64url(text);
  if (!bytes) return refuse(field, bytes.error().message());
  return bytes;
}

Result<Bytes> decoded(std::string_view field, std::string_view text, std::size_t most) {
  COFFER_TRY(Bytes bytes, decoded(field, text));
  if (!bytes.empty() && bytes.size() <= most) return bytes;
  return refuse(field, fmt::format("want 1 to {} bytes, got {}", most, bytes.size()));
}

Status read_runtime_data(const attestation::IndividualAttestationRequest& request,
                         appraisal::Presented& out) {
  if (request.has_raw_runtime_data()) {
    COFFER_TRY(out.report_data,
               decoded("raw_runtime_data", request.raw_runtime_data(), kMaxReportData));
    return {};
  }
  if (!request.has_structured_runtime_data()) return {};
  const std::string& name = request.runtime_data_hash_algorithm();
  COFFER_TRY(const auto hash, protocol::parse_hash(name.empty() ? "sha384" : name));
  COFFER_TRY(out.runtime_data,
             parse_json(request.structured_runtime_data(), "structured_runtime_data"));
  if (!out.runtime_data.is_object()) return refuse("structured_runtime_data", "want an object");
  COFFER_TRY(out.report_data, protocol::structured_report_data(out.runtime_data, hash));
  return {};
}

}  // namespace

Result<appraisal::Presented> read_presented(
    const attestation::IndividualAttestationRequest& request) {
  appraisal::Presented out;
  COFFER_TRY(out.tee, protocol::parse_tee(request.tee()));
  COFFER_TRY(const Bytes evidence, decoded("evidence", request.evidence()));
  COFFER_TRY(out.evidence, parse_json(as_text(evidence), "evidence"));
  COFFER_TRY_VOID(read_runtime_data(request, out));
  if (request.has_init_data_digest()) {
    COFFER_TRY(out.init_data_digest,
               decoded("init_data_digest", request.init_data_digest(), kMaxDigest));
  } else if (request.has_init_data_toml()) {
    out.init_data = request.init_data_toml();
  }
  return out;
}

Status AttestationApi::evaluate(const attestation::AttestationRequest& request,
                                attestation::AttestationResponse& response) {
  const Status status = appraise(request, response);
  if (status || !is_internal(status.error().code())) return status;
  parts_.metrics.count("as_evaluation_errors_total");
  if (parts_.on_internal) parts_.on_internal(status.error());
  return fail(status.error().code(), std::string(told_to_guests(status.error().code())));
}

Status AttestationApi::appraise(const attestation::AttestationRequest& request,
                                attestation::AttestationResponse& response) {
  parts_.metrics.count("as_evaluations_total");
  if (request.verification_requests_size() != 1) {
    return refuse("verification_requests",
                  fmt::format("want one (evidence of devices is not supported), got {}",
                              request.verification_requests_size()));
  }
  if (request.policy_ids_size() > 1) {
    return refuse("policy_ids", "want one at most: a part is appraised by one policy");
  }
  const std::string& policy =
      request.policy_ids_size() == 0 ? parts_.policy_id : request.policy_ids(0);
  COFFER_TRY(const auto presented, read_presented(request.verification_requests(0)));
  COFFER_TRY(const auto outcome, parts_.service.attest(presented, policy, parts_.clock()));
  if (outcome.token.empty()) {
    parts_.metrics.count("as_evaluation_failures_total");
    return fail(Code::kAborted,
                fmt::format("attestation {} refused: {}", outcome.id, outcome.reason));
  }
  response.set_attestation_token(outcome.token);
  return {};
}

Status AttestationApi::challenge(const attestation::ChallengeRequest& request,
                                 attestation::ChallengeResponse& response) {
  if (const auto tee = request.inner().find("tee"); tee != request.inner().end()) {
    COFFER_TRY([[maybe_unused]] const auto known, protocol::parse_tee(tee->second));
  }
  COFFER_TRY(const Bytes nonce, jose::random_bytes(kNonceBytes));
  response.set_attestation_challenge(to_base64(nonce));
  return {};
}

Result<std::string> AttestationApi::administrator(std::string_view authorization) const {
  HttpRequest request;
  request.authorization = authorization;
  return parts_.admin.check(request.bearer(), parts_.clock());
}

Status AttestationApi::set_policy(const attestation::SetPolicyRequest& request,
                                  std::string_view authorization) {
  COFFER_TRY([[maybe_unused]] const std::string name, administrator(authorization));
  COFFER_TRY(const Bytes text, decoded("policy", request.policy()));
  return parts_.policies.set_attestation_policy(request.policy_id(), std::string(as_text(text)));
}

Status AttestationApi::register_value(const reference::ReferenceValueRegisterRequest& request,
                                      std::string_view authorization) {
  COFFER_TRY(const std::string name, administrator(authorization));
  const auto now = parts_.clock();
  COFFER_TRY(const auto values,
             rv::parse_message(as_bytes(request.message()),
                               {.now = now, .registrar = name, .signers = parts_.signers}));
  COFFER_TRY([[maybe_unused]] const auto revision,
             parts_.values.set(values, {.name = name, .time = now}));
  return {};
}

Status AttestationApi::query_value(const reference::ReferenceValueQueryRequest& request,
                                   std::string_view authorization,
                                   reference::ReferenceValueQueryResponse& response) {
  COFFER_TRY([[maybe_unused]] const std::string name, administrator(authorization));
  COFFER_TRY(const auto snapshot, parts_.values.current());
  const auto value = snapshot->values.find(request.reference_value_id());
  if (value != snapshot->values.end() &&
      rv::validity_at(value->second, parts_.clock()) == rv::Validity::kValid) {
    response.set_reference_value_results(value->second.value);
  }
  return {};
}

}  // namespace coffer::kbs
