#include "attestation/endorsements/kds.h"

#include "tee/emulator/snp_pki.h"
#include "tee/x509_bundle.h"
#include "tests/attestation/endorsements/fetcher_fixture.h"
#include "tests/attestation/endorsements/local_service.h"

namespace coffer::endorsements {
namespace {

using testing::LocalService;
using Answer = LocalService::Answer;

const emulator::FakeAmd& amd(bool other = false) {
  static const auto kMake = [] {
    const auto now = static_cast<tee::UnixTime>(::time(nullptr));
    auto made =
        emulator::FakeAmd::make({.not_before = now - 86400, .not_after = now + 30L * 86400});
    check(made.has_value(), "make a throwaway AMD");
    return *std::move(made);
  };
  static const auto kAmd = kMake();
  if (!other) return kAmd;
  static const auto kOther = kMake();
  return kOther;
}

class KdsTest : public testing::FetcherFixture {
 protected:
  // What the real one would answer for this AMD's chip.
  Answer answer(const std::string& target, const emulator::FakeAmd& of) const {
    if (target.ends_with("cert_chain")) {
      return {.status = 200,
              .body = emulator::pem_certificate(of.ask()) + emulator::pem_certificate(of.ark())};
    }
    if (target.ends_with("crl")) {
      return {.status = 200,
              .body = std::string(
                  as_text(*of.crl({.this_update = now_ - 10, .next_update = now_ + 7 * 86400})))};
    }
    if (target == path_) return {.status = 200, .body = std::string(as_text(of.vcek()))};
    return {};
  }
  snp::TrustMaterial known() const {
    snp::TrustMaterial out;
    out.trusted_roots = {*tee::Certificate::from_der(amd().ark())};
    return out;
  }
  Result<snp::TrustMaterial> ask(const LocalService& service, bool crl = false) {
    Kds kds(*fetcher_, service.url());
    return kds.lacking(report_, known(), crl, now_);
  }

  snp::Report report_ = amd().report();
  std::string path_ =
      "/vcek/v1/Milan/" + to_hex(Bytes(64, 0xC1)) + "?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219";
};

TEST_F(KdsTest, FetchesTheLeafAndTheChainThatAReportLacks) {
  LocalService service([&](const std::string& target) { return answer(target, amd()); });
  for (int i = 0; i < 2; ++i) {
    const auto material = ask(service);
    ASSERT_TRUE(material) << material.error().to_string();
    ASSERT_EQ(material->certificates.size(), 3U);
    EXPECT_EQ(material->certificates.back().der(), amd().vcek());
    EXPECT_TRUE(material->crls.empty());
    restart();
  }
  EXPECT_EQ(service.count("/vcek/v1/Milan/c1"), 1U);
  EXPECT_EQ(service.count("/vcek/v1/Milan/cert_chain"), 1U);
  EXPECT_EQ(service.count("/"), 2U);
}

TEST_F(KdsTest, FetchesNothingForAReportThatBringsItsOwn) {
  LocalService service([&](const std::string& target) { return answer(target, amd()); });
  Kds kds(*fetcher_, service.url());
  auto with = known();
  with.certificates = {*tee::Certificate::from_der(amd().vcek())};
  EXPECT_TRUE(kds.lacking(report_, with, false, now_)->certificates.empty());
  report_.key_info.raw = static_cast<std::uint32_t>(snp::SigningKey::kVlek) << 2U;
  EXPECT_TRUE(kds.lacking(report_, known(), false, now_)->certificates.empty());
  EXPECT_EQ(service.count("/"), 0U);
}

TEST_F(KdsTest, FetchesTheRevocationListWhereOneIsRequired) {
  LocalService service([&](const std::string& target) { return answer(target, amd()); });
  const auto material = ask(service, true);
  ASSERT_TRUE(material) << material.error().to_string();
  EXPECT_EQ(material->crls.size(), 1U);
  EXPECT_TRUE(ask(service, true));
  EXPECT_EQ(service.count("/vcek/v1/Milan/crl"), 1U);
  now_ += 86400;
  EXPECT_TRUE(ask(service, true));
  EXPECT_EQ(service.count("/vcek/v1/Milan/crl"), 2U) << "daily";
}

TEST_F(KdsTest, AListThatRevokesIsAGoodList) {
  LocalService service([&](const std::string& target) {
    if (!target.ends_with("crl")) return answer(target, amd());
    const emulator::SnpCrlSpec spec{
        .this_update = now_ - 10, .next_update = now_ + 86400, .revoked = {1, 2, 3, 4, 5, 6, 7, 8}};
    return Answer{.status = 200, .body = std::string(as_text(*amd().crl(spec)))};
  });
  const auto material = ask(service, true);
  ASSERT_TRUE(material) << material.error().to_string();
  EXPECT_EQ(material->crls.size(), 1U);
}

TEST_F(KdsTest, WhatDoesNotChainIsRefusedAndNotKept) {
  amd(true);  // which takes seconds, and nobody waits for it yet
  bool forge = true;
  LocalService service([&](const std::string& target) { return answer(target, amd(forge)); });
  const auto material = ask(service);
  ASSERT_FALSE(material);
  EXPECT_EQ(material.error().code(), Code::kFailedPrecondition) << material.error().to_string();
  EXPECT_NE(material.error().to_string().find("chain."), std::string::npos)
      << material.error().to_string();
  EXPECT_EQ(*store_->count("endorsement"), 0U);
}

// As by somebody on the way to a cache that speaks plain HTTP, once.
TEST_F(KdsTest, AWrongChainIsNotKeptForThoseWhoComeLater) {
  amd(true);
  bool forge = true;
  LocalService service([&](const std::string& target) {
    return answer(target, amd(forge && target.ends_with("cert_chain")));
  });
  const auto material = ask(service);
  ASSERT_FALSE(material);
  EXPECT_NE(material.error().to_string().find("cert_chain"), std::string::npos)
      << material.error().to_string();
  EXPECT_EQ(*store_->count("endorsement"), 0U);
  forge = false;
  now_ += 3600;
  const auto later = ask(service);
  ASSERT_TRUE(later) << later.error().to_string();
  EXPECT_EQ(later->certificates.size(), 3U);
}

TEST_F(KdsTest, AnotherChipsOrTcbsLeafIsRefused) {
  LocalService service([&](const std::string& target) {
    return target.ends_with("cert_chain")
               ? answer(target, amd())
               : Answer{.status = 200, .body = std::string(as_text(amd().vcek()))};
  });
  report_.chip_id[0] ^= 1U;
  EXPECT_NE(ask(service).error().to_string().find("another chip"), std::string::npos);
  report_.chip_id[0] ^= 1U;
  report_.reported_tcb[0] ^= 1U;
  EXPECT_NE(ask(service).error().to_string().find("another TCB"), std::string::npos);
}

TEST_F(KdsTest, AMaskedChipIsNamed) {
  LocalService service([](const std::string&) { return Answer{}; });
  report_.chip_id.fill(0);
  const auto material = ask(service);
  ASSERT_FALSE(material);
  EXPECT_NE(material.error().message().find("names no chip"), std::string::npos);
  EXPECT_EQ(service.count("/"), 0U);
}

TEST_F(KdsTest, PathsAreThoseOfTheService) {
  EXPECT_EQ(*vcek_path(report_, snp::Product::kMilan), path_);
  const snp::Tcb tcb{.fmc = 1, .boot_loader = 2, .tee = 3, .snp = 4, .microcode = 5};
  report_.reported_tcb = snp::encode_tcb(tcb, snp::TcbLayout::kTurin);
  EXPECT_EQ(*vcek_path(report_, snp::Product::kTurin),
            "/vcek/v1/Turin/c1c1c1c1c1c1c1c1?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=05");
}

}  // namespace
}  // namespace coffer::endorsements
