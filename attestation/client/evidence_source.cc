#include "attestation/client/evidence_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attestation/evidence/evidence.h"
#include "tee/tdx/device_linux.h"

namespace coffer::client {
namespace {

class SampleSource final : public EvidenceSource {
 public:
  [[nodiscard]] protocol::Tee tee() const override { return protocol::Tee::kSample; }
  [[nodiscard]] Result<nlohmann::json> evidence(BytesView report_data) override {
    return evidence::make_sample(report_data);
  }
};

constexpr unsigned kDefaultTdxPcr = 17;
// A TPM lets only a dynamic launch extend 17; 15 is the last that a running system may and no one
// resets.
constexpr unsigned kDefaultTpmPcr = 15;
constexpr unsigned kPcrs = 24;

class AttesterSource final : public EvidenceSource {
 public:
  AttesterSource(std::unique_ptr<tee::Attester> attester, protocol::Tee tee)
      : attester_(std::move(attester)),
        tee_(tee),
        log_(tee == protocol::Tee::kTpm ? tee::HashAlgorithm::kSha256
                                        : tee::HashAlgorithm::kSha384) {}

  [[nodiscard]] protocol::Tee tee() const override { return tee_; }

  [[nodiscard]] Result<nlohmann::json> evidence(BytesView report_data) override {
    const bool tpm = tee_ == protocol::Tee::kTpm;
    if (tpm)
      report_data = report_data.first(std::min(report_data.size(), evidence::kTpmNonceBytes));
    COFFER_TRY(tee::Evidence raw, attester_->evidence(report_data));
    if (tee_ != protocol::Tee::kSnp) {
      COFFER_TRY(raw.manifest, log_.continue_log(raw.manifest));
    }
    if (tpm) return evidence::make_tpm(raw);
    return tee_ == protocol::Tee::kTdx ? evidence::make_tdx(raw) : evidence::make_snp(raw);
  }

  [[nodiscard]] Status measure(const evidence::RuntimeEvent& event,
                               std::optional<unsigned> pcr) override {
    const bool tpm = tee_ == protocol::Tee::kTpm;
    const unsigned index = pcr.value_or(tpm ? kDefaultTpmPcr : kDefaultTdxPcr);
    if (index >= kPcrs) {
      return fail(Code::kInvalidArgument,
                  fmt::format("measure event: PCR {}, the last is {}", index, kPcrs - 1));
    }
    COFFER_TRY_VOID(evidence::check_event(event));
    COFFER_TRY_VOID(log_.check_room(event));
    COFFER_TRY_VOID(attester_->extend(index, log_.digest(event)));
    // A TD's log counts MRTD as 0, RTMR0 as 1.
    log_.append(tpm ? index : tdx::rtmr_of_pcr(index) + 1, event);
    return {};
  }

  void note_extended(unsigned pcr, BytesView digest, std::string_view what) override {
    if (tee_ == protocol::Tee::kTpm) log_.append_extended(pcr, digest, what);
  }

 private:
  std::unique_ptr<tee::Attester> attester_;
  protocol::Tee tee_;
  evidence::RuntimeLog log_;
};

}  // namespace

Status EvidenceSource::measure(const evidence::RuntimeEvent& /*event*/,
                               std::optional<unsigned> /*pcr*/) {
  return fail(Code::kUnimplemented, fmt::format("measure event: '{}' has no runtime registers",
                                                protocol::tee_name(tee())));
}

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
