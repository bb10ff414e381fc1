#include "tee/tdx/verify.h"

#include "tee/emulated_root.h"
#include "tee/tdx/verify_parts.h"
#include "tee/x509_bundle.h"

namespace coffer::tdx {
namespace {

// Exactly PEM, with nothing but white space between the blocks.
Result<std::vector<tee::Certificate>> read_pck_chain(BytesView pem,
                                                     const CollateralSet& collateral) {
  if (!tee::looks_like_pem(pem)) return fail(Code::kInvalidArgument, "is not PEM");
  COFFER_TRY(auto bundle, tee::parse_x509_bundle(pem, "PCK chain",
                                                 {.max_objects = 4,
                                                  .text_between_blocks = false,
                                                  .known = collateral.crl_issuer_chain()}));
  if (!bundle.crls.empty()) return fail(Code::kInvalidArgument, "holds a CRL");
  return std::move(bundle.certificates);
}

void add(tee::Verdict& verdict, const Checks& checks) {
  for (const auto& check : checks) verdict.add(check);
}

void check_platform(const Quote& quote, const CollateralSet& collateral, const Expectations& want,
                    tee::UnixTime time, tee::Verdict& verdict) {
  auto read = read_pck_chain(quote.pck_chain_pem, collateral);
  if (!verdict.add("pck_chain.format", read.has_value(), "PEM certificates",
                   read ? "PEM certificates" : read.error().to_string(), kQuoteSpec)) {
    return;
  }
  const Chain chain(*read);
  verdict.set_emulated(!chain.empty() && tee::is_emulator_root(chain.back()));
  const auto pck = check_pck(quote, collateral, want, time, verdict, chain);
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
  add(verdict, collateral.static_checks());
  add(verdict, collateral.checks_at(time));
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
