// Intel's provisioning certification service, or a cache of it (PCCS): collateral for a platform.
//
// Intel PCS API v4: GET {base}/tdx/certification/v4/tcb?fmspc=.., {base}/tdx/certification/v4/qe/
// identity, {base}/sgx/certification/v4/pckcrl?ca=..&encoding=der, and, of a PCCS, {base}/sgx/
// certification/v4/rootcacrl (hexadecimal); Intel's own has the root's list at the root's
// distribution point. Issuer chains come in headers, percent-encoded.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "attestation/endorsements/fetcher.h"
#include "tee/tdx/collateral_set.h"

namespace coffer::endorsements {

inline constexpr std::string_view kIntelRootCrl =
    "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

// Thread-safe.
class Pcs {
 public:
  // `fetcher` must outlive it. `base`: "https://api.trustedservices.intel.com", without a slash at
  // its end.
  Pcs(Fetcher& fetcher, std::string base, tdx::TrustAnchors anchors,
      std::string root_crl = std::string(kIntelRootCrl))
      : fetcher_(fetcher),
        base_(std::move(base)),
        anchors_(std::move(anchors)),
        root_crl_(std::move(root_crl)) {}

  // Authenticated with the anchors, and of `time`. `fmspc`: 12 lower-case hex digits; `ca`:
  // "platform" or "processor", who issued the quote's PCK certificate.
  [[nodiscard]] Result<std::shared_ptr<const tdx::CollateralSet>> collateral(
      const std::string& fmspc, const std::string& ca, tee::UnixTime time);

 private:
  struct Ready {
    std::string key;
    Bytes bytes;
    std::shared_ptr<const tdx::CollateralSet> set;  // shared: with those who verify by it
  };

  [[nodiscard]] Result<Document> make(const Get& get, const std::string& fmspc,
                                      const std::string& ca, tee::UnixTime time) const;

  Fetcher& fetcher_;
  std::string base_;
  tdx::TrustAnchors anchors_;
  std::string root_crl_;
  std::mutex mutex_;
  std::list<Ready> ready_;  // newest first, a few: what the documents became
};

}  // namespace coffer::endorsements
