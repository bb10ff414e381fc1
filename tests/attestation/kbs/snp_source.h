// An emulated SNP guest as an evidence source, and the reference values with which it is affirming.
#pragma once

#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include "attestation/client/evidence_source.h"
#include "attestation/evidence/evidence.h"
#include "tee/emulator/snp_pki.h"

namespace coffer::testing {

using Json = nlohmann::json;

inline const emulator::FakeAmd& amd() {
  static const auto kAmd = [] {
    const auto now = static_cast<tee::UnixTime>(::time(nullptr));
    auto made =
        emulator::FakeAmd::make({.not_before = now - 86400, .not_after = now + 30L * 86400});
    check(made.has_value(), "make a throwaway AMD");
    return *std::move(made);
  }();
  return kAmd;
}

// What the hardware of an emulated guest answers.
class SnpSource final : public client::EvidenceSource {
 public:
  [[nodiscard]] protocol::Tee tee() const override { return protocol::Tee::kSnp; }
  Result<Json> evidence(BytesView report_data) override {
    snp::Report report = amd().report();
    report.measurement.fill(0xaa);
    if (change) change(report);
    report.report_data.fill(0);
    std::ranges::copy(report_data, report.report_data.begin());
    if (other_nonce) report.report_data[0] ^= 1U;
    COFFER_TRY(const Bytes signed_report, amd().sign(report));
    last = *evidence::make_snp({.tee = "snp",
                                .report = signed_report,
                                .auxiliary = bare ? Bytes() : amd().certificate_table(),
                                .manifest = {}});
    return last;
  }
  std::function<void(snp::Report&)> change;
  bool other_nonce = false;
  bool bare = false;  // the host hands over no certificates
  Json last;
};

inline const std::string& trust() {
  static const std::string kText = [] {
    const std::string root = ::testing::TempDir() + "/coffer-kbs-test-root.pem";
    std::ofstream(root) << amd().root_pem();
    return "[verifier]\nsnp_roots = [\"" + root + "\"]\n";
  }();
  return kText;
}

// Values with which the emulated guest is affirming.
inline Json good_values() {
  const auto& tcb = amd().spec().platform.tcb;
  return {{"snp_launch_measurement", {to_hex(Bytes(48, 0xaa))}},
          {"snp_bootloader", {tcb.boot_loader}},
          {"snp_microcode", {tcb.microcode}},
          {"snp_snp_svn", {tcb.snp}},
          {"snp_tee_svn", {tcb.tee}}};
}

}  // namespace coffer::testing
