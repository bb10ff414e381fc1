#include "tee/tdx/td_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"
#include "tee/digest.h"

namespace coffer::tdx {
namespace {

constexpr std::size_t kTcbInfoAt = 256;
constexpr std::size_t kTcbInfoSize = 239;
constexpr std::size_t kTdInfoAt = 512;
constexpr std::size_t kTdInfoSize = 512;

template <std::size_t N>
Status copy_at(BytesView bytes, std::size_t offset, std::array<std::uint8_t, N>& out) {
  ByteReader reader(bytes, "TDREPORT");
  COFFER_TRY_VOID(reader.seek(offset));
  COFFER_TRY(const BytesView field, reader.take(N));
  std::ranges::copy(field, out.begin());
  return {};
}

Status check_hash(BytesView bytes, std::size_t hash_at, std::size_t at, std::size_t size,
                  std::string_view what) {
  Digest48 claimed{};
  COFFER_TRY_VOID(copy_at(bytes, hash_at, claimed));
  if (claimed == tee::sha384(bytes.subspan(at, size))) return {};
  return fail(Code::kInvalidArgument, fmt::format("parse TDREPORT: {}: does not match", what));
}

Status read_tcb_info(BytesView bytes, TdBody& td) {
  COFFER_TRY_VOID(copy_at(bytes, 264, td.tee_tcb_svn));
  COFFER_TRY_VOID(copy_at(bytes, 280, td.mr_seam));
  COFFER_TRY_VOID(copy_at(bytes, 328, td.mr_signer_seam));
  COFFER_TRY_VOID(copy_at(bytes, 376, td.seam_attributes));
  return copy_at(bytes, 384, td.tee_tcb_svn_2.emplace());
}

Status read_td_info(BytesView bytes, TdBody& td) {
  COFFER_TRY_VOID(copy_at(bytes, 512, td.td_attributes));
  COFFER_TRY_VOID(copy_at(bytes, 520, td.xfam));
  COFFER_TRY_VOID(copy_at(bytes, 528, td.mr_td));
  COFFER_TRY_VOID(copy_at(bytes, 576, td.mr_config_id));
  COFFER_TRY_VOID(copy_at(bytes, 624, td.mr_owner));
  COFFER_TRY_VOID(copy_at(bytes, 672, td.mr_owner_config));
  for (std::size_t i = 0; i < td.rtmr.size(); ++i) {
    COFFER_TRY_VOID(copy_at(bytes, 720 + i * td.rtmr[i].size(), td.rtmr[i]));
  }
  return copy_at(bytes, 912, td.mr_service_td.emplace());
}

}  // namespace

Result<TdReport> parse_td_report(BytesView bytes) {
  if (bytes.size() != kTdReportSize) {
    return fail(Code::kInvalidArgument,
                fmt::format("parse TDREPORT: got {} bytes, want {}", bytes.size(), kTdReportSize));
  }
  TdReport report;
  COFFER_TRY_VOID(copy_at(bytes, 0, report.report_type));
  if (report.report_type[0] != kTeeTypeTdx) {
    return fail(Code::kInvalidArgument,
                fmt::format("parse TDREPORT: type: got {:#x}, want 0x81", report.report_type[0]));
  }
  COFFER_TRY_VOID(copy_at(bytes, 16, report.cpu_svn));
  COFFER_TRY_VOID(copy_at(bytes, 128, report.td.report_data));
  COFFER_TRY_VOID(copy_at(bytes, 224, report.mac));
  COFFER_TRY_VOID(read_tcb_info(bytes, report.td));
  COFFER_TRY_VOID(read_td_info(bytes, report.td));
  COFFER_TRY_VOID(check_hash(bytes, 32, kTcbInfoAt, kTcbInfoSize, "TEE_TCB_INFO_HASH"));
  COFFER_TRY_VOID(check_hash(bytes, 80, kTdInfoAt, kTdInfoSize, "TEE_INFO_HASH"));
  return report;
}

}  // namespace coffer::tdx
