#include "attestation/client/evidence_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attestation/evidence/evidence.h"

namespace coffer::client {
namespace {

class SampleSource final : public EvidenceSource {
 public:
  [[nodiscard]] protocol::Tee tee() const override { return protocol::Tee::kSample; }
  [[nodiscard]] Result<nlohmann::json> evidence(BytesView report_data) override {
    return evidence::make_sample(report_data);
  }
};

class AttesterSource final : public EvidenceSource {
 public:
  AttesterSource(std::unique_ptr<tee::Attester> attester, protocol::Tee tee)
      : attester_(std::move(attester)), tee_(tee) {}

  [[nodiscard]] protocol::Tee tee() const override { return tee_; }

  [[nodiscard]] Result<nlohmann::json> evidence(BytesView report_data) override {
    const bool tpm = tee_ == protocol::Tee::kTpm;
    if (tpm)
      report_data = report_data.first(std::min(report_data.size(), evidence::kTpmNonceBytes));
    COFFER_TRY(const tee::Evidence raw, attester_->evidence(report_data));
    if (tpm) return evidence::make_tpm(raw);
    return tee_ == protocol::Tee::kTdx ? evidence::make_tdx(raw) : evidence::make_snp(raw);
  }

 private:
  std::unique_ptr<tee::Attester> attester_;
  protocol::Tee tee_;
};

}  // namespace

Result<std::unique_ptr<EvidenceSource>> make_source(std::unique_ptr<tee::Attester> attester) {
  COFFER_TRY(const protocol::Tee tee, protocol::parse_tee(attester->tee()));
  if (tee != protocol::Tee::kSnp && tee != protocol::Tee::kTdx && tee != protocol::Tee::kTpm) {
    return fail(Code::kUnimplemented,
                fmt::format("make evidence: '{}' is not supported here; snp, tdx and tpm are",
                            attester->tee()));
  }
  return std::make_unique<AttesterSource>(std::move(attester), tee);
}

std::unique_ptr<EvidenceSource> make_sample_source() { return std::make_unique<SampleSource>(); }

}  // namespace coffer::client
