#include "tee/sev-snp/endorsement_cache.h"

#include <array>

#include "tee/digest.h"
#include "tee/sev-snp/report.h"

namespace coffer::snp {

std::string EndorsementCache::key(const tee::Evidence& evidence) {
  const auto report = decode_report(evidence.report);
  if (!report) return {};
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  // Of fixed sizes, and first: what follows cannot be taken for them.
  const std::array<std::uint8_t, 1> kind = {report->key_info.signing_key()};
  hasher.update(kind).update(report->chip_id).update(report->reported_tcb);
  return std::string(as_text(hasher.update(evidence.auxiliary).finish()));
}

std::shared_ptr<const Endorsement> EndorsementCache::find(const std::string& key,
                                                          tee::UnixTime time) const {
  const std::lock_guard lock(mutex_);
  const auto at = kept_.find(key);
  if (at == kept_.end()) return nullptr;
  const auto& [endorsement, since] = at->second;
  const bool valid = time >= endorsement->valid_from && time <= endorsement->valid_until;
  return valid && time >= since && time - since <= kMaxAge ? endorsement : nullptr;
}

void EndorsementCache::keep(const std::string& key, Endorsement endorsement, tee::UnixTime time) {
  if (key.empty() || !endorsement.trusted()) return;
  auto shared = std::make_shared<const Endorsement>(std::move(endorsement));
  const std::lock_guard lock(mutex_);
  const bool fresh =
      kept_.insert_or_assign(key, Kept{.endorsement = std::move(shared), .since = time}).second;
  if (!fresh) return;
  order_.push_back(key);
  if (order_.size() <= capacity_) return;
  kept_.erase(order_.front());
  order_.pop_front();
}

}  // namespace coffer::snp
