// Trustee's attestation service and reference value provider: messages to messages. No sockets
// here; the gRPC server is grpc_server.h.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "attestation/kbs/admin_auth.h"
#include "attestation/kbs/metrics.h"
#include "attestation/reference_values/message.h"
#include "attestation/service/service.h"

namespace attestation {
class AttestationRequest;
class AttestationResponse;
class ChallengeRequest;
class ChallengeResponse;
class IndividualAttestationRequest;
class SetPolicyRequest;
}  // namespace attestation
namespace reference {
class ReferenceValueQueryRequest;
class ReferenceValueQueryResponse;
class ReferenceValueRegisterRequest;
}  // namespace reference

namespace coffer::kbs {

// All must outlive the API.
struct AttestationApiParts {
  rv::ValueSet& values;
  appraisal::Policies& policies;
  appraisal::AttestationService& service;
  const AdminAuth& admin;
  Metrics& metrics;
  std::string policy_id;  // of requests that name none
  std::function<store::UnixTime()> clock;
  // Told what went wrong inside, of which a caller is not told. From any thread.
  std::function<void(const Error&)> on_internal = nullptr;
  rv::Signers signers = {};  // of reference values
};

// Evaluation is anybody's: the token says that nobody vouches for its freshness, and the broker
// releases nothing for it. What sets or shows policies and values takes the administrator's token,
// `authorization` being "Bearer TOKEN" as in HTTP. Thread-safe.
class AttestationApi {
 public:
  explicit AttestationApi(AttestationApiParts parts) : parts_(std::move(parts)) {}

  // kAborted when the evidence is refused, with the id of its record. What went wrong inside is
  // told on_internal, and the caller that something did: hosts, files and rules of a policy are not
  // his.
  [[nodiscard]] Status evaluate(const attestation::AttestationRequest& request,
                                attestation::AttestationResponse& response);
  // A nonce. Nothing of it is remembered: that evidence answers it is the caller's to see.
  [[nodiscard]] Status challenge(const attestation::ChallengeRequest& request,
                                 attestation::ChallengeResponse& response);
  [[nodiscard]] Status set_policy(const attestation::SetPolicyRequest& request,
                                  std::string_view authorization);
  [[nodiscard]] Status register_value(const reference::ReferenceValueRegisterRequest& request,
                                      std::string_view authorization);
  // Absent when there is none, or none that is valid now.
  [[nodiscard]] Status query_value(const reference::ReferenceValueQueryRequest& request,
                                   std::string_view authorization,
                                   reference::ReferenceValueQueryResponse& response);

 private:
  [[nodiscard]] Status appraise(const attestation::AttestationRequest& request,
                                attestation::AttestationResponse& response);
  [[nodiscard]] Result<std::string> administrator(std::string_view authorization) const;

  AttestationApiParts parts_;
};

// What a caller presents. kInvalidArgument names the field.
[[nodiscard]] Result<appraisal::Presented> read_presented(
    const attestation::IndividualAttestationRequest& request);

}  // namespace coffer::kbs
