#include "tee/tpm/ak_certificate.h"

#include <gtest/gtest.h>

#include "tee/emulator/der_writer.h"
#include "tee/emulator/snp_pki.h"
#include "tee/emulator/tpm_pki.h"

namespace coffer::tpm {
namespace {

constexpr tee::UnixTime kNow = 1'700'000'000;
constexpr tee::UnixTime kDay = 86400;

class AkCertificateTest : public ::testing::Test {
 protected:
  static emulator::FakeTpmMaker make_maker() {
    return emulator::FakeTpmMaker::make(kNow - kDay, kNow + kDay).value();
  }
  static tee::PublicKey make_key() {
    return tee::PrivateKey::generate_ec(tee::Curve::kP256)->public_key();
  }
  static tee::Certificate root_of(const emulator::FakeTpmMaker& maker) {
    return tee::Certificate::from_der(maker.root()).value();
  }
  AkEndorsement check(BytesView certificates, tee::UnixTime time = kNow) {
    verdict_ = tee::Verdict("tpm");
    const auto out = check_ak_certificate(certificates, key_, roots_, time, verdict_);
    EXPECT_EQ(out.certified, verdict_.verified() && verdict_.find("ak.certificate.key") != nullptr);
    return out;
  }
  [[nodiscard]] std::string failed() const {
    std::string out;
    for (const auto& one : verdict_.failed()) out += (out.empty() ? "" : " ") + one.name;
    return out;
  }

  emulator::FakeTpmMaker maker_ = make_maker();
  tee::PublicKey key_ = make_key();
  std::vector<tee::Certificate> roots_ = {root_of(maker_)};
  tee::Verdict verdict_{"tpm"};
};

TEST_F(AkCertificateTest, OfAConfiguredRootCertifiesAndSaysThatItIsEmulated) {
  const Bytes der = maker_.certify(key_).value();
  EXPECT_TRUE(check(der).certified) << verdict_.to_table();
  EXPECT_TRUE(check(der).emulated);
  EXPECT_TRUE(check(as_bytes(emulator::pem_certificate(der))).certified);
}

TEST_F(AkCertificateTest, KeepsItsMakerOverASave) {
  const auto again = emulator::FakeTpmMaker::load(maker_.save().value());
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->root(), maker_.root());
  EXPECT_TRUE(check(again->certify(key_).value()).certified);
  for (const char* wrong : {"", "[]", "{}", R"({"root_key": 1})"}) {
    EXPECT_FALSE(emulator::FakeTpmMaker::load(wrong)) << wrong;
  }
}

TEST_F(AkCertificateTest, OfAnotherKeyOrAnotherRootIsRefusedByName) {
  EXPECT_FALSE(check(maker_.certify(make_key()).value()).certified);
  EXPECT_EQ(failed(), "ak.certificate.key");
  EXPECT_FALSE(check(make_maker().certify(key_).value()).certified);
  EXPECT_EQ(failed(), "ak.certificate.chain");
}

TEST_F(AkCertificateTest, CountsOnlyWhileItIsValid) {
  const Bytes der = maker_.certify(key_).value();
  for (const tee::UnixTime time : {kNow - 2 * kDay, kNow + 2 * kDay}) {
    EXPECT_FALSE(check(der, time).certified);
    EXPECT_EQ(failed(), "ak.certificate.validity");
  }
}

TEST_F(AkCertificateTest, TheRootItselfIsNoKeysCertificate) {
  key_ = roots_.front().public_key();
  EXPECT_FALSE(check(maker_.root()).certified);
  EXPECT_EQ(failed(), "ak.certificate.chain");
}

TEST_F(AkCertificateTest, GarbageAndTooManyAreRefused) {
  EXPECT_FALSE(check(as_bytes("no certificate")).certified);
  EXPECT_EQ(failed(), "ak.certificate");
  Bytes five;
  for (int i = 0; i < 5; ++i) {
    const Bytes der = maker_.certify(key_).value();
    five.insert(five.end(), der.begin(), der.end());
  }
  EXPECT_FALSE(check(five).certified);
  EXPECT_EQ(failed(), "ak.certificate");
}

// Leaf, intermediate, root: as a vendor would have it.
TEST_F(AkCertificateTest, LeadsOverIssuersThatAreCas) {
  const auto signer = tee::PrivateKey::generate_ec(tee::Curve::kP384).value();
  const auto issued = [&](std::string name, const tee::PublicKey& key,
                          std::vector<tee::Extension> ca, const std::string& issuer,
                          const tee::PrivateKey& by, tee::SignatureScheme scheme) {
    const auto spec = [&](std::string common_name) {
      return emulator::SnpCertificateSpec{.common_name = std::move(common_name),
                                          .organization = "Maker",
                                          .not_before = kNow - kDay,
                                          .not_after = kNow + kDay,
                                          .extensions = {},
                                          .scheme = scheme};
    };
    auto subject = spec(std::move(name));
    subject.extensions = std::move(ca);
    return emulator::make_snp_certificate(subject, key, spec(issuer), by).value();
  };
  const std::vector<tee::Extension> ca = {
      {.oid = "2.5.29.19", .critical = true, .value = {0x30, 0x03, 0x01, 0x01, 0xFF}}};
  const auto top = tee::PrivateKey::generate_ec(tee::Curve::kP256).value();
  const auto p256 = tee::SignatureScheme::kEcdsaSha256;
  roots_ = {
      tee::Certificate::from_der(issued("root", top.public_key(), ca, "root", top, p256)).value()};
  const Bytes leaf = issued("ak", key_, {}, "middle", signer, tee::SignatureScheme::kEcdsaSha384);
  for (const bool middle_is_ca : {true, false}) {
    const Bytes middle =
        issued("middle", signer.public_key(), middle_is_ca ? ca : std::vector<tee::Extension>{},
               "root", top, p256);
    Bytes both = leaf;
    both.insert(both.end(), middle.begin(), middle.end());
    const auto out = check(both);
    EXPECT_EQ(out.certified, middle_is_ca) << verdict_.to_table();
    EXPECT_FALSE(out.emulated);
  }
  EXPECT_FALSE(check(leaf).certified);
}

// What a root that is not the TPMs' alone issues to a key in a file.
TEST_F(AkCertificateTest, OfAnotherUseIsNoAttestationKeys) {
  const auto root = tee::PrivateKey::generate_ec(tee::Curve::kP256).value();
  const auto spec = [](std::string name, std::vector<tee::Extension> extensions) {
    return emulator::SnpCertificateSpec{.common_name = std::move(name),
                                        .organization = "Maker",
                                        .not_before = kNow - kDay,
                                        .not_after = kNow + kDay,
                                        .extensions = std::move(extensions),
                                        .scheme = tee::SignatureScheme::kEcdsaSha256};
  };
  const auto ca = spec(
      "root", {{.oid = "2.5.29.19", .critical = true, .value = {0x30, 0x03, 0x01, 0x01, 0xFF}}});
  roots_ = {tee::Certificate::from_der(
                emulator::make_snp_certificate(ca, root.public_key(), ca, root).value())
                .value()};
  const auto certified = [&](Bytes usage, bool critical) {
    const auto leaf =
        spec("ak", {{.oid = "2.5.29.37", .critical = critical, .value = std::move(usage)}});
    return check(emulator::make_snp_certificate(leaf, key_, ca, root).value()).certified;
  };
  const Bytes server = emulator::der_oid("1.3.6.1.5.5.7.3.1");
  const Bytes attestation = emulator::der_oid("2.23.133.8.3");
  for (const bool critical : {false, true}) {
    EXPECT_TRUE(certified(emulator::der_sequence({attestation}), critical));
    EXPECT_TRUE(certified(emulator::der_sequence({server, attestation}), critical));
    EXPECT_TRUE(certified(emulator::der_sequence({emulator::der_oid("2.5.29.37.0")}), critical));
    EXPECT_FALSE(certified(emulator::der_sequence({server}), critical));
    EXPECT_EQ(failed(), "ak.certificate.chain");
    EXPECT_FALSE(certified(emulator::der_sequence({}), critical));
    EXPECT_FALSE(certified(attestation, critical)) << "no list";
  }
}

TEST_F(AkCertificateTest, WithoutCertificateOrRootsNothingIsCertifiedAndNothingRefused) {
  EXPECT_FALSE(check({}).certified);
  EXPECT_EQ(failed(), "");
  roots_.clear();
  EXPECT_FALSE(check(maker_.certify(key_).value()).certified);
  EXPECT_EQ(failed(), "");
}

}  // namespace
}  // namespace coffer::tpm
