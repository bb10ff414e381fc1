// Quotes are the host's: whatever they hold, verification answers with a verdict.
#include <cstddef>
#include <cstdint>

#include "tee/tdx/td_report.h"
#include "tee/tdx/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto collateral =
      coffer::tdx::CollateralSet::prepare({}, coffer::tdx::TrustAnchors());
  const coffer::BytesView bytes(data, size);
  const auto verdict = coffer::tdx::verify({.quote = bytes, .event_log = bytes}, collateral, {}, 0);
  coffer::check(!verdict.verified(), "nothing without collateral is ever verified");
  static_cast<void>(coffer::tdx::parse_td_report(bytes));
  return 0;
}
