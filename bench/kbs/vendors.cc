#include "bench/kbs/vendors.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "attestation/evidence/evidence.h"
#include "base/fd.h"

namespace coffer::bench {
namespace {

constexpr tee::UnixTime kDay = 86400;
constexpr std::uint8_t kMeasurement = 0xaa;

}  // namespace

Result<Vendors> Vendors::make(const std::string& folder) {
  const auto now = static_cast<tee::UnixTime>(std::time(nullptr));
  COFFER_TRY(auto amd,
             emulator::FakeAmd::make({.not_before = now - kDay, .not_after = now + kDay}));
  COFFER_TRY(auto intel, emulator::FakeIntel::make(
                             {.not_before = now - kDay, .not_after = now + kDay, .platform = {}}));
  Vendors out(std::move(amd), std::move(intel));
  COFFER_TRY_VOID(out.write(folder));
  return out;
}

Status Vendors::write(const std::string& folder) {
  COFFER_TRY(const auto collateral, intel_.collateral());
  const auto put = [&](std::string_view name, std::string_view content) {
    return write_file(fmt::format("{}/{}", folder, name), content);
  };
  COFFER_TRY_VOID(put("amd_root.pem", amd_.root_pem()));
  COFFER_TRY_VOID(put("intel_root.pem", intel_.root_pem()));
  COFFER_TRY_VOID(put("tcb_info.json", collateral.tcb_info));
  COFFER_TRY_VOID(put("qe_identity.json", collateral.qe_identity));
  COFFER_TRY_VOID(put("tcb_signing_chain.pem", as_text(collateral.tcb_signing_chain)));
  COFFER_TRY_VOID(put("root_ca_crl.der", as_text(collateral.root_ca_crl)));
  COFFER_TRY_VOID(put("pck_crl.der", as_text(collateral.pck_crl)));
  COFFER_TRY_VOID(put("pck_crl_issuer_chain.pem", as_text(collateral.pck_crl_issuer_chain)));
  config_ = fmt::format(
      "[verifier]\nsnp_roots = [\"{0}/amd_root.pem\"]\ntdx_roots = [\"{0}/intel_root.pem\"]\n"
      "tdx_collateral_dirs = [\"{0}\"]\n",
      folder);
  return {};
}

nlohmann::json Vendors::reference_values() const {
  const auto& tcb = amd_.spec().platform.tcb;
  const auto td = intel_.quote_spec().td;
  return {{"snp_launch_measurement", {to_hex(Bytes(48, kMeasurement))}},
          {"snp_bootloader", {tcb.boot_loader}},
          {"snp_microcode", {tcb.microcode}},
          {"snp_snp_svn", {tcb.snp}},
          {"snp_tee_svn", {tcb.tee}},
          {"mr_td", {to_hex(td.mr_td)}},
          {"rtmr_1", {to_hex(td.rtmr[1])}},
          {"rtmr_2", {to_hex(td.rtmr[2])}},
          {"xfam", {to_hex(td.xfam)}}};
}

Result<nlohmann::json> Vendors::evidence(protocol::Tee tee, BytesView report_data) const {
  if (tee == protocol::Tee::kTdx) {
    auto spec = intel_.quote_spec();
    spec.td.report_data.fill(0);
    std::ranges::copy(report_data, spec.td.report_data.begin());
    COFFER_TRY(const Bytes quote, intel_.quote(spec));
    return evidence::make_tdx({.tee = "tdx", .report = quote, .auxiliary = {}, .manifest = {}});
  }
  snp::Report report = amd_.report();
  report.measurement.fill(kMeasurement);
  report.report_data.fill(0);
  std::ranges::copy(report_data, report.report_data.begin());
  COFFER_TRY(const Bytes signed_report, amd_.sign(report));
  return evidence::make_snp({.tee = "snp",
                             .report = signed_report,
                             .auxiliary = amd_.certificate_table(),
                             .manifest = {}});
}

}  // namespace coffer::bench
