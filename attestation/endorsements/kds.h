// AMD's key distribution service, or a cache that speaks as it does: VCEKs by chip and TCB, the
// chain above them, revocation lists.
//
// AMD 57230 rev 1.00, section 4: GET {base}/vcek/v1/{product}/{hwid}?blSPL=..&teeSPL=..&snpSPL=..
// &ucodeSPL=.. (Turin: fmcSPL first), DER; {base}/vcek/v1/{product}/cert_chain, PEM;
// {base}/vcek/v1/{product}/crl, DER.
#pragma once

#include <string>

#include "attestation/endorsements/fetcher.h"
#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/report.h"

namespace coffer::endorsements {

class Kds {
 public:
  // `fetcher` must outlive it. `base`: "https://kdsintf.amd.com", without a slash at its end.
  Kds(Fetcher& fetcher, std::string base) : fetcher_(fetcher), base_(std::move(base)) {}

  // What `known` lacks to authenticate this report's key: the VCEK, the chain above it, and with
  // `require_crl` the revocation list. Each has been authenticated with the roots of `known`.
  // Nothing for a report that a VLEK signed, which only the host has, and for one of an unknown
  // product.
  [[nodiscard]] Result<snp::TrustMaterial> lacking(const snp::Report& report,
                                                   const snp::TrustMaterial& known,
                                                   bool require_crl, tee::UnixTime time);

 private:
  struct Wanted;
  [[nodiscard]] Result<Bytes> vcek(const Wanted& wanted, snp::TrustMaterial& material);
  [[nodiscard]] Result<Bytes> chain(const Wanted& wanted, const tee::Certificate& leaf,
                                    const snp::TrustMaterial& material);
  [[nodiscard]] Result<Bytes> crl(const Wanted& wanted, const tee::Certificate& leaf,
                                  const snp::TrustMaterial& material);

  Fetcher& fetcher_;
  std::string base_;
};

// The path and query below the base. kFailedPrecondition when the report names no chip
// (MASK_CHIP_ID).
[[nodiscard]] Result<std::string> vcek_path(const snp::Report& report, snp::Product product);

}  // namespace coffer::endorsements
