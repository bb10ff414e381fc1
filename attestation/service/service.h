// Verify, appraise, record, sign: one attestation from evidence to token.
#pragma once

#include <functional>
#include <string>

#include "attestation/protocol/messages.h"
#include "attestation/service/ear.h"
#include "attestation/service/evidence_verifier.h"
#include "attestation/service/policies.h"
#include "attestation/service/records.h"

namespace coffer::appraisal {

// What an attester presents, from whichever protocol.
struct Presented {
  protocol::Tee tee = protocol::Tee::kSample;
  nlohmann::json evidence;
  // What the evidence must bind, and what stands in the token as `runtime_data_claims` (null when
  // only the bytes are known).
  std::optional<Bytes> report_data = std::nullopt;
  nlohmann::json runtime_data = nullptr;
  // Init data in the plain, or only its digest.
  std::optional<std::string> init_data = std::nullopt;
  std::optional<Bytes> init_data_digest = std::nullopt;
  // `report_data` binds a challenge of ours, which nobody else can have asked for.
  bool fresh = false;
  // No token for a guest that the policy does not affirm.
  bool require_affirming = false;
};

struct Outcome {
  std::string id;     // of the record, which is there in any case
  std::string token;  // empty: refused
  // Why, in words that a guest may see: names of checks and TEEs, no expected values.
  std::string reason;
  std::string status;  // of the appraisal
  bool emulated = false;
};

// What must be written for a token to count.
struct Keep {
  std::vector<store::Write> writes = {};
  std::string otherwise = {};  // why there is no token if a condition of theirs does not hold
};
// Asked before anybody has the outcome's token. An error is the attestation's.
using Keeper = std::function<Result<Keep>(const Outcome& outcome)>;

class AttestationService {
 public:
  // All must outlive it.
  AttestationService(const EvidenceVerifier& verifier, Policies& policies, Records& records,
                     const TokenSigner& signer)
      : verifier_(verifier), policies_(policies), records_(records), signer_(signer) {}

  // Refused evidence is an Outcome; an Error is that the service could not find out. Thread-safe.
  // What `keeper` wants written and the record are one transaction.
  [[nodiscard]] Result<Outcome> attest(const Presented& presented, std::string_view policy_id,
                                       tee::UnixTime now, const Keeper& keeper = {});

 private:
  [[nodiscard]] Result<Outcome> appraise(const Presented& presented, std::string_view policy_id,
                                         tee::UnixTime now, const Keeper& keeper,
                                         const Verified& verified, Draft& draft, Outcome outcome);
  [[nodiscard]] Result<Outcome> conclude(tee::UnixTime now, const Keeper& keeper, Draft& draft,
                                         Outcome outcome);

  const EvidenceVerifier& verifier_;
  Policies& policies_;
  Records& records_;
  const TokenSigner& signer_;
};

}  // namespace coffer::appraisal
