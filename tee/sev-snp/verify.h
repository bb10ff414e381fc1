// Is a report authentic, and is it acceptable? Authenticity is decided here, acceptance in
// accept.cc. Never stops at the first failure, does no I/O, reads no clock.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/expectations.h"
#include "tee/sev-snp/report.h"
#include "tee/verdict.h"

namespace coffer::snp {

struct VerifyRequest {
  BytesView report;
  const TrustMaterial& material;
  const Expectations& expectations;
  tee::UnixTime time = 0;
  // The product that the caller says it is; absent: by CPUID and chain.
  std::optional<Product> product = std::nullopt;
};

// Chooses the leaf that the report asks for among the certificates, authenticates it, and judges.
[[nodiscard]] tee::Verdict verify(const VerifyRequest& request);

// The leaf for this report: of the kind that KEY_INFO says, and of its chip and TCB when several
// are there; else any leaf. nullptr when there is none.
[[nodiscard]] const tee::Certificate* select_leaf(
    const Report& report, const std::vector<tee::Certificate>& certificates);

// The first half of it: the leaf chosen, and what was found out about it. A report that cannot be
// read chooses any leaf.
[[nodiscard]] Endorsement endorse(BytesView report, const TrustMaterial& material, bool require_crl,
                                  tee::UnixTime time);

// verify() with a chain that was authenticated before: for a service that sees one chip often.
// `time` must lie within the endorsement's, which is checked.
[[nodiscard]] tee::Verdict verify_endorsed(BytesView report, const Endorsement& endorsement,
                                           const Expectations& expectations, tee::UnixTime time,
                                           std::optional<Product> product = std::nullopt);

}  // namespace coffer::snp
