// The parts of verify(), one question a file. Internal to tee/tdx.
#pragma once

#include <span>

#include "tee/tdx/collateral_set.h"
#include "tee/tdx/expectations.h"
#include "tee/tdx/pck_extension.h"
#include "tee/tdx/quote.h"
#include "tee/tdx/tcb.h"
#include "tee/verdict.h"

namespace coffer::tdx {

inline constexpr std::string_view kQuoteSpec =
    "Intel TDX DCAP Quote Library rev. 0.9, appendix A.3";
inline constexpr std::string_view kExpectation = "expectation";

// verify_platform.cc: whose key signed, and does Intel vouch for it?
void check_pck(const PckChain& chain, const CollateralSet& collateral, const Expectations& want,
               tee::UnixTime time, tee::Verdict& verdict);
void check_signatures(const Quote& quote, Chain chain, tee::Verdict& verdict);
void check_crls(const CollateralSet& collateral, const Expectations& want, Chain chain,
                tee::Verdict& verdict);

// verify_tcb.cc: at which level does the platform stand?
void check_qe_identity(const Quote& quote, const QeIdentity& identity, tee::Verdict& verdict);
void check_tcb_info(const PckExtension& pck, const CollateralSet& collateral,
                    const Expectations& want, tee::Verdict& verdict);
void check_tcb(const Quote& quote, const PckExtension& pck, const CollateralSet& collateral,
               const Expectations& want, tee::UnixTime time, tee::Verdict& verdict);

// verify_td.cc: is it the TD that is wanted?
void check_td(const TdBody& td, const Expectations& want, tee::Verdict& verdict);

// verify_log.cc: does the log account for the registers?
void check_event_log(BytesView log, const TdBody& td, const Expectations& want,
                     tee::Verdict& verdict);

// claims.cc
void add_claims(const Quote& quote, tee::Verdict& verdict);
void add_claims(const PckExtension& pck, tee::Verdict& verdict);
void add_claims(const TcbEvaluation& tcb, tee::Verdict& verdict);
void add_claims(const CollateralSet& collateral, tee::Verdict& verdict);

}  // namespace coffer::tdx
