#include "attestation/kbs/remote_endorsements.h"

#include <algorithm>
#include <optional>

#include "attestation/endorsements/kds.h"
#include "attestation/endorsements/pcs.h"
#include "attestation/kbs/trust.h"
#include "base/fd.h"

namespace coffer::kbs {
namespace {

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

class Remote final : public appraisal::EndorsementSource {
 public:
  Remote(store::Store& store, endorsements::Get get, endorsements::FetchLimits limits)
      : fetcher_(store, std::move(get), store::system_clock, limits) {}

  void use_kds(const std::string& url) { kds_.emplace(fetcher_, without_slash(url)); }
  void use_pcs(const std::string& url, tdx::TrustAnchors anchors) {
    pcs_.emplace(fetcher_, without_slash(url), std::move(anchors));
  }

  Result<snp::TrustMaterial> snp(const snp::Report& report, const snp::TrustMaterial& known,
                                 bool require_crl, tee::UnixTime time) override {
    if (!kds_) return snp::TrustMaterial{};
    return kds_->lacking(report, known, require_crl, time);
  }
  Result<std::shared_ptr<const tdx::CollateralSet>> tdx(const std::string& fmspc,
                                                        const std::string& ca,
                                                        tee::UnixTime time) override {
    if (!pcs_) return nullptr;
    return pcs_->collateral(fmspc, ca, time);
  }

 private:
  endorsements::Fetcher fetcher_;
  std::optional<endorsements::Kds> kds_;
  std::optional<endorsements::Pcs> pcs_;
};

}  // namespace

Result<std::unique_ptr<appraisal::EndorsementSource>> make_remote_endorsements(
    const Config& config, store::Store& store, std::size_t threads) {
  if (config.snp_kds_url.empty() && config.tdx_pcs_url.empty()) return nullptr;
  std::string ca;
  if (!config.fetch_ca.empty()) {
    COFFER_TRY(ca, read_file(config.fetch_ca));
  }
  // Two at least: a certificate's fetch may need that of the chain above it.
  const endorsements::FetchLimits limits{.waiting = std::max<std::size_t>(2, threads / 2)};
  auto out = std::make_unique<Remote>(store, endorsements::make_get(std::move(ca)), limits);
  if (!config.snp_kds_url.empty()) out->use_kds(config.snp_kds_url);
  if (!config.tdx_pcs_url.empty()) {
    COFFER_TRY(auto anchors, load_tdx_anchors(config));
    out->use_pcs(config.tdx_pcs_url, std::move(anchors));
  }
  return out;
}

}  // namespace coffer::kbs
