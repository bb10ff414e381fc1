#include "tee/emulator/snp_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "tee/emulator/launch_json.h"

namespace coffer::emulator {

OrErrno<TsmAnswer> SnpGuest::report(BytesView inblob, unsigned privilege_level) {
  snp::Report report = launch_;
  if (inblob.size() != report.report_data.size()) return std::unexpected(EINVAL);
  std::ranges::copy(inblob, report.report_data.begin());
  report.vmpl = privilege_level;
  auto signed_report = amd_.sign(report);
  if (!signed_report) return std::unexpected(EIO);
  return TsmAnswer{.outblob = *std::move(signed_report), .auxblob = amd_.certificate_table()};
}

Result<snp::Report> snp_launch_of(const FakeAmd& amd, const nlohmann::json& object) {
  LaunchReader reader(object);
  COFFER_TRY(const std::uint64_t version, reader.number("report_version", 3));
  if (version < snp::kMinReportVersion || version > snp::kMaxReportVersion) {
    return fail(Code::kInvalidArgument,
                fmt::format("launch: report_version {}, want 2..5", version));
  }
  snp::Report out = amd.report(static_cast<std::uint32_t>(version));
  COFFER_TRY(out.policy.raw, reader.number("policy", out.policy.raw));
  COFFER_TRY(const std::uint64_t svn, reader.number("guest_svn", 0));
  out.guest_svn = static_cast<std::uint32_t>(svn);
  COFFER_TRY_VOID(reader.octets("measurement", out.measurement));
  COFFER_TRY_VOID(reader.octets("host_data", out.host_data));
  COFFER_TRY_VOID(reader.octets("family_id", out.family_id));
  COFFER_TRY_VOID(reader.octets("image_id", out.image_id));
  COFFER_TRY_VOID(reader.octets("report_id", out.report_id));
  COFFER_TRY_VOID(reader.octets("id_key_digest", out.id_key_digest));
  COFFER_TRY(const bool author, reader.octets("author_key_digest", out.author_key_digest));
  if (author) out.key_info.raw |= 1U;
  COFFER_TRY_VOID(reader.expect_all_read());
  return out;
}

}  // namespace coffer::emulator
