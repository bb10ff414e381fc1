#include "attestation/endorsements/pcs.h"

#include <fmt/format.h>

#include "tee/x509_bundle.h"
#include "tests/attestation/endorsements/fetcher_fixture.h"
#include "tests/attestation/endorsements/local_service.h"
#include "tests/attestation/fake_intel.h"

namespace coffer::endorsements {
namespace {

using testing::intel;
using testing::LocalService;
using Answer = LocalService::Answer;

std::string percent_encoded(BytesView bytes) {
  std::string out;
  for (const auto byte : bytes) out += fmt::format("%{:02X}", byte);
  return out;
}

class PcsTest : public testing::FetcherFixture {
 protected:
  static constexpr const char* kFmspc = "c0ffee000000";
  static constexpr const char* kTcb = "/tdx/certification/v4/tcb";

  Answer answer(const std::string& target) const {
    const auto& in = input_;
    if (target == std::string(kTcb) + "?fmspc=" + kFmspc) {
      return {.status = 200,
              .body = in.tcb_info,
              .headers = {{"TCB-Info-Issuer-Chain", percent_encoded(in.tcb_signing_chain)}}};
    }
    if (target == "/tdx/certification/v4/qe/identity") {
      return {.status = 200, .body = in.qe_identity};
    }
    if (target == "/sgx/certification/v4/pckcrl?ca=platform&encoding=der") {
      return {.status = 200,
              .body = std::string(as_text(in.pck_crl)),
              .headers = {{"SGX-PCK-CRL-Issuer-Chain", percent_encoded(in.pck_crl_issuer_chain)}}};
    }
    // As a PCCS has it.
    if (target == "/sgx/certification/v4/rootcacrl" && pccs_) {
      return {.status = 200, .body = to_hex(in.root_ca_crl) + "\n"};
    }
    if (target == "/root.der") return {.status = 200, .body = std::string(as_text(in.root_ca_crl))};
    return {};
  }
  Result<std::shared_ptr<const tdx::CollateralSet>> ask(const LocalService& service,
                                                        const std::string& fmspc = kFmspc) {
    Pcs pcs(*fetcher_, service.url(),
            tdx::TrustAnchors(
                tee::parse_x509_bundle(as_bytes(intel().root_pem()), "root")->certificates),
            service.url() + "/root.der");
    return pcs.collateral(fmspc, "platform", now_);
  }

  tdx::CollateralInput input_ = *intel().collateral();
  bool pccs_ = true;
};

// One list in 128 ends in a byte that ends lines, too.
TEST_F(PcsTest, ADerListMayEndLikeALine) {
  LocalService service([&](const std::string& target) { return answer(target); });
  pccs_ = false;
  constexpr int kTries = 20'000;  // none of which would do once in 10^68 times
  for (int i = 0; i < kTries && input_.pck_crl.back() != '\n'; ++i) input_ = *intel().collateral();
  ASSERT_EQ(input_.pck_crl.back(), '\n');
  const auto set = ask(service);
  EXPECT_TRUE(set) << set.error().to_string();
}

TEST_F(PcsTest, FetchesCollateralOnceAndKeepsItOverARestart) {
  LocalService service([&](const std::string& target) { return answer(target); });
  for (int i = 0; i < 2; ++i) {
    const auto set = ask(service);
    ASSERT_TRUE(set) << set.error().to_string();
    EXPECT_EQ(to_hex((*set)->tcb_info()->fmspc), kFmspc);
    EXPECT_TRUE(tdx::all_ok((*set)->static_checks()));
    restart();
  }
  EXPECT_EQ(service.count(kTcb), 1U);
  now_ += 86400;
  EXPECT_TRUE(ask(service));
  EXPECT_EQ(service.count(kTcb), 2U) << "daily";
}

TEST_F(PcsTest, TakesTheRootsListFromItsDistributionPointWhereThereIsNoOther) {
  pccs_ = false;
  LocalService service([&](const std::string& target) { return answer(target); });
  const auto set = ask(service);
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ(service.count("/root.der"), 1U);
}

TEST_F(PcsTest, OneSetIsMadeOfOneDocument) {
  LocalService service([&](const std::string& target) { return answer(target); });
  Pcs pcs(*fetcher_, service.url(),
          tdx::TrustAnchors(
              tee::parse_x509_bundle(as_bytes(intel().root_pem()), "root")->certificates));
  const auto first = pcs.collateral(kFmspc, "platform", now_);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, *pcs.collateral(kFmspc, "platform", now_));
}

TEST_F(PcsTest, WhatTheRootDoesNotVouchForIsRefusedByNameAndNotKept) {
  LocalService service([&](const std::string& target) { return answer(target); });
  const auto at = input_.tcb_info.find("UpToDate");
  ASSERT_NE(at, std::string::npos);
  input_.tcb_info[at] = 'u';
  const auto set = ask(service);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(*store_->count("endorsement"), 0U);
  input_ = *intel().collateral();
  now_ += 30;
  const auto again = ask(service);
  EXPECT_TRUE(again) << again.error().to_string();
}

TEST_F(PcsTest, AChainThatIsNotPercentEncodedIsRefusedByItsHeader) {
  LocalService service([&](const std::string& target) {
    Answer changed = answer(target);
    for (auto& [name, value] : changed.headers) value += "%4";
    return changed;
  });
  const auto set = ask(service);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code(), Code::kFailedPrecondition);
  EXPECT_NE(set.error().to_string().find("tcb-info-issuer-chain': invalid URL escape \"%4\""),
            std::string::npos)
      << set.error().to_string();
}

TEST_F(PcsTest, AnotherPlatformsCollateralIsRefused) {
  LocalService service([&](const std::string& target) {
    return answer(target.starts_with(kTcb) ? std::string(kTcb) + "?fmspc=" + kFmspc : target);
  });
  const auto set = ask(service, "aaaaaaaaaaaa");
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().to_string().find("fmspc: want aaaaaaaaaaaa"), std::string::npos)
      << set.error().to_string();
}

TEST_F(PcsTest, AnUnknownPlatformIsNamed) {
  LocalService service([&](const std::string& target) { return answer(target); });
  const auto set = ask(service, "bbbbbbbbbbbb");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code(), Code::kNotFound);
  EXPECT_NE(set.error().to_string().find("fmspc=bbbbbbbbbbbb"), std::string::npos);
}

}  // namespace
}  // namespace coffer::endorsements
