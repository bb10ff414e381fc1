// Chains that were authenticated before. A service sees the same few chips again and again, and a
// chain costs as much as all the rest of a report.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "tee/attester.h"
#include "tee/sev-snp/certificates.h"

namespace coffer::snp {

// Thread-safe. Of one set of trusted roots and one rule about revocation lists: its user's.
class EndorsementCache {
 public:
  // Seconds, after which a chain is authenticated again: revocation lists may have come since.
  static constexpr tee::UnixTime kMaxAge = 600;

  explicit EndorsementCache(std::size_t capacity = 512) : capacity_(capacity) {}

  // What chooses and authenticates a leaf: the certificates that the evidence brings, and of its
  // report the kind of key, the chip and the TCB. Empty when the report cannot be read.
  [[nodiscard]] static std::string key(const tee::Evidence& evidence);

  // nullptr when there is none, it is too old, or `time` lies outside its validity. Shared: it may
  // be evicted while it is used.
  [[nodiscard]] std::shared_ptr<const Endorsement> find(const std::string& key,
                                                        tee::UnixTime time) const;
  // Only a trusted one is kept: strangers cannot push out what is good. The oldest key goes first.
  void keep(const std::string& key, Endorsement endorsement, tee::UnixTime time);

 private:
  struct Kept {
    std::shared_ptr<const Endorsement> endorsement;
    tee::UnixTime since = 0;
  };

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Kept> kept_;
  std::deque<std::string> order_;
};

}  // namespace coffer::snp
