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
#include "tee/attester.h"
#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/endorsement_cache.h"
#include "tee/sev-snp/expectations.h"
#include "tee/sev-snp/report.h"
#include "tee/tdx/collateral_set.h"
#include "tee/tdx/expectations.h"
#include "tee/tdx/pck_chains.h"
#include "tee/verdict.h"

namespace coffer::appraisal {

// Whom to believe, from files that the operator names.
struct TrustConfig {
  // Roots instead of AMD's own; certificates and revocation lists beside what evidence brings.
  snp::TrustMaterial snp;
  bool snp_require_crl = false;
  // Collateral by FMSPC, lower-case hex.
  std::map<std::string, tdx::CollateralSet> tdx;
  // Who may vouch for a TPM's attestation key. None: it must be a reference value (trusted_aks).
  std::vector<tee::Certificate> tpm_roots = {};
  bool allow_sample = false;  // evidence that proves nothing
};

struct EvidenceRequest {
  protocol::Tee tee = protocol::Tee::kSample;
  const nlohmann::json& evidence;  // outlives the call; not copied: it may be megabytes
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

// What neither the evidence nor the configuration has, from elsewhere. Thread-safe; may block.
class EndorsementSource {
 public:
  virtual ~EndorsementSource() = default;
  // What `known` lacks to authenticate this report's key. Believed no more than what evidence
  // brings.
  [[nodiscard]] virtual Result<snp::TrustMaterial> snp(const snp::Report& report,
                                                       const snp::TrustMaterial& known,
                                                       bool require_crl, tee::UnixTime time) = 0;
  // `fmspc`: lower-case hex; `ca`: "platform" or "processor". Null: this source has none.
  [[nodiscard]] virtual Result<std::shared_ptr<const tdx::CollateralSet>> tdx(
      const std::string& fmspc, const std::string& ca, tee::UnixTime time) = 0;
};

// Thread-safe, no I/O but that of the source.
class EvidenceVerifier {
 public:
  // `source`, if there is one, must outlive it.
  explicit EvidenceVerifier(TrustConfig config, EndorsementSource* source = nullptr)
      : config_(std::move(config)), source_(source) {}

  // kUnimplemented names a TEE that we have no verifier of; kFailedPrecondition one that the
  // configuration does not allow, or whose endorsements cannot be had; kInvalidArgument evidence
  // that is none; kUnavailable: the source cannot be asked now, and later may help.
  [[nodiscard]] Result<Verified> verify(const EvidenceRequest& request, tee::UnixTime time) const;
  // The names of those that verify() takes.
  [[nodiscard]] std::vector<protocol::Tee> supported() const;

 private:
  [[nodiscard]] Result<Verified> snp(const EvidenceRequest& request, tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> tdx(const EvidenceRequest& request, tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> tpm(const EvidenceRequest& request, tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> azure_snp(const EvidenceRequest& request,
                                           tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> azure_tdx(const EvidenceRequest& request,
                                           tee::UnixTime time) const;
  [[nodiscard]] Result<Verified> sample(const EvidenceRequest& request) const;
  // The hardware's alone, also below a vTPM. `bound`: up to 64 bytes, zeros follow; empty or
  // nothing: not compared.
  [[nodiscard]] Result<tee::Verdict> snp_verdict(const tee::Evidence& evidence, BytesView bound,
                                                 tee::UnixTime time) const;
  [[nodiscard]] Result<tee::Verdict> tdx_verdict(const tee::Evidence& evidence,
                                                 const std::optional<Bytes>& bound,
                                                 tee::UnixTime time) const;
  // The configuration's, with what the source has for this report.
  [[nodiscard]] Result<snp::TrustMaterial> snp_material(const tee::Evidence& evidence,
                                                        tee::UnixTime time) const;

  TrustConfig config_;
  EndorsementSource* source_;
  mutable snp::EndorsementCache endorsements_;
  mutable tdx::PckChains pck_chains_;  // of platforms whose collateral is still to be found
};

}  // namespace coffer::appraisal
