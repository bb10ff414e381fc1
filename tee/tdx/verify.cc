#include "tee/tdx/verify.h"

#include "tee/emulated_root.h"
#include "tee/tdx/verify_parts.h"

namespace coffer::tdx {
namespace {

void check_platform(const Quote& quote, const CollateralSet& collateral, const Expectations& want,
                    tee::UnixTime time, tee::Verdict& verdict) {
  const auto read = collateral.read_pck_chain(quote.pck_chain_pem);
  if (!verdict.add("pck_chain.format", read.has_value(), "PEM certificates",
                   read ? "PEM certificates" : read.error().to_string(), kQuoteSpec)) {
    return;
  }
  const Chain chain((*read)->certificates);
  const auto& pck = (*read)->pck;
  verdict.set_emulated(tee::is_emulator_root(chain.back()));
  check_pck(**read, collateral, want, time, verdict);
  check_crls(collateral, want, chain, verdict);
  check_signatures(quote, chain, verdict);
  if (!pck) return;
  add_claims(*pck, verdict);
  check_tcb_info(*pck, collateral, want, verdict);
  check_tcb(quote, *pck, collateral, want, time, verdict);
}

}  // namespace

tee::Verdict verify(const Evidence& evidence, const CollateralSet& collateral,
                    const Expectations& expectations, tee::UnixTime time) {
  tee::Verdict verdict("tdx");
  verdict.add_all(collateral.static_checks());
  verdict.add_all(collateral.checks_at(time));
  add_claims(collateral, verdict);
  const auto quote = parse_quote(evidence.quote);
  if (!verdict.add("quote.format", quote.has_value(), "a TDX quote of version 4 or 5",
                   quote ? "a TDX quote" : quote.error().to_string(), kQuoteSpec)) {
    return verdict;
  }
  add_claims(*quote, verdict);
  check_platform(*quote, collateral, expectations, time, verdict);
  if (collateral.qe_identity() != nullptr) {
    check_qe_identity(*quote, *collateral.qe_identity(), verdict);
  }
  check_td(quote->td, expectations, verdict);
  if (evidence.event_log) check_event_log(*evidence.event_log, quote->td, expectations, verdict);
  return verdict;
}

}  // namespace coffer::tdx
