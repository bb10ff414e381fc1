// Is this evidence authentic, and bound to what it was asked to bind? Evidence JSON in; a verdict
// and the claims by Trustee's names out. What the claims are good for is the policies' matter.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "attestation/protocol/tee_name.h"
#include "base/error.h"
#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/expectations.h"
#include "tee/tdx/collateral_set.h"
#include "tee/tdx/expectations.h"
#include "tee/verdict.h"

namespace coffer::appraisal {

// Whom to believe, from files that the operator names.
struct TrustConfig {
  // Roots instead of AMD's own; certificates and revocation lists beside what evidence brings.
  snp::TrustMaterial snp;
  bool snp_require_crl = false;
  // Collateral by FMSPC, lower-case hex.
  std::map<std::string, tdx::CollateralSet> tdx;
  bool allow_sample = false;  // evidence that proves nothing
};

struct EvidenceRequest {
  protocol::Tee tee = protocol::Tee::kSample;
  nlohmann::json evidence;
  // What the evidence must bind. Nothing: not compared, and the verdict says so.
  std::optional<Bytes> report_data = std::nullopt;
  // Digest of the init data. Nothing: none was presented.
  std::optional<Bytes> init_data_digest = std::nullopt;
};

struct Verified {
  tee::Verdict verdict;
  nlohmann::json claims;  // by Trustee's names; to be believed only if verdict.verified()
  std::string report_data, init_data;  // hex, of the evidence
};

// Thread-safe, no I/O.
class EvidenceVerifier {
 public:
  explicit EvidenceVerifier(TrustConfig config) : config_(std::move(config)) {}

  // kUnimplemented names a TEE that we have no verifier of; kFailedPrecondition one that the
  // configuration does not allow; kInvalidArgument evidence that is none.
  [[nodiscard]] Result<Verified> verify(const EvidenceRequest& request, tee::UnixTime time) const;
  // The names of those that verify() takes.
  [[nodiscard]] std::vector<protocol::Tee> supported() const;

 private:
  [[nodiscard]] Result<Verified> snp(const EvidenceRequest& request, tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> tdx(const EvidenceRequest& request, tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> tpm(const EvidenceRequest& request) const;
  [[nodiscard]] Result<Verified> sample(const EvidenceRequest& request) const;

  TrustConfig config_;
};

}  // namespace coffer::appraisal
