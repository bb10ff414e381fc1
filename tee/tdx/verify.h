// Is this TDX quote authentic, in date, and what the relying party wants? Pure: no I/O and no
// clock; everything is passed in. Every question is asked, whatever the others answered.
//
// Order and rules: Intel TDX DCAP Quote Verification Library; Intel PCS API v4; Intel TDX
// Module 1.5 Base Architecture. docs/attestation/evidence-tdx.md explains each check.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "tee/tdx/collateral_set.h"
#include "tee/tdx/expectations.h"
#include "tee/verdict.h"

namespace coffer::tdx {

struct Evidence {
  BytesView quote;                     // as received, padding included
  std::optional<BytesView> event_log;  // CCEL data area or a log in JSON, when there is one
};

// Names of the checks are those of the chains (chain.h) and of the collateral (collateral_set.h),
// and: "quote.format", "quote.signature", "pck_chain.*", "pck.*", "qe.*", "tcb.*", "td.*",
// "expect.*" and "event_log.*".
[[nodiscard]] tee::Verdict verify(const Evidence& evidence, const CollateralSet& collateral,
                                  const Expectations& expectations, tee::UnixTime time);

}  // namespace coffer::tdx
