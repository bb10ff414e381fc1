// TDREPORT: what the TDX module tells a TD about itself. Its MAC can be checked only on the same
// platform (that is what the quoting enclave does), so to anybody else it is a claim.
//
// Layout: Intel TDX Module 1.5 ABI, TDREPORT_STRUCT: REPORTMACSTRUCT 256, TEE_TCB_INFO 239,
// reserved 17, TDINFO_STRUCT 512 bytes. Little endian.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/tdx/quote.h"

namespace coffer::tdx {

inline constexpr std::size_t kTdReportSize = 1024;

struct TdReport {
  std::array<std::uint8_t, 4> report_type{};  // REPORTTYPE: 0x81, subtype, version, 0
  std::array<std::uint8_t, 16> cpu_svn{};
  std::array<std::uint8_t, 32> mac{};
  // The fields that a quote has too; tee_tcb_svn_2 and mr_service_td are always filled in here.
  TdBody td;
};

// kInvalidArgument when it is not 1024 bytes, is no TDX report, or when its inner hashes
// (TEE_TCB_INFO_HASH, TEE_INFO_HASH) are not those of its parts.
[[nodiscard]] Result<TdReport> parse_td_report(BytesView bytes);

}  // namespace coffer::tdx
