// The TDX verifier behind the interface that every TEE has.
#pragma once

#include <memory>

#include "tee/tdx/collateral_set.h"
#include "tee/tdx/expectations.h"
#include "tee/verifier.h"

namespace coffer::tdx {

// Reads a quote from Evidence::report and, when it is there, a CCEL from Evidence::manifest.
[[nodiscard]] std::unique_ptr<tee::Verifier> make_verifier(CollateralSet collateral,
                                                           Expectations expectations);

}  // namespace coffer::tdx
