#include "tee/x509.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.h"
#include "tee/x509_bundle.h"

namespace coffer::tee {
namespace {

const std::filesystem::path kSnp = std::filesystem::path(COFFER_VECTORS) / "snp";

X509Bundle load(const std::string& name) {
  const auto text = read_file(kSnp / name);
  EXPECT_TRUE(text) << name;
  auto bundle = parse_x509_bundle(as_bytes(*text), name);
  EXPECT_TRUE(bundle) << name << ": " << bundle.error().to_string();
  return bundle ? *std::move(bundle) : X509Bundle{};
}

class X509Vectors : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSnp)) GTEST_SKIP() << "no vectors at " << kSnp;
  }
};

TEST_F(X509Vectors, RealAmdChainsVerifyByOurOwnReader) {
  for (const auto* product : {"milan", "genoa", "turin"}) {
    const std::string base = std::string("certs/") + product;
    const Certificate ark = load(base + "_ark.pem").certificates.at(0);
    EXPECT_EQ(ark.scheme(), SignatureScheme::kRsaPssSha384);
    EXPECT_TRUE(ark.is_self_issued());
    EXPECT_TRUE(ark.is_ca());
    EXPECT_TRUE(ark.signature_by(ark.public_key()));
    for (const auto* kind : {"_ask.pem", "_asvk.pem"}) {
      const Certificate intermediate = load(base + kind).certificates.at(0);
      EXPECT_TRUE(intermediate.names_issuer(ark));
      EXPECT_TRUE(intermediate.signature_by(ark.public_key()));
      EXPECT_FALSE(intermediate.signature_by(intermediate.public_key()));
      EXPECT_TRUE(intermediate.is_ca());
      EXPECT_TRUE(intermediate.unknown_critical_extensions().empty());
    }
  }
}

TEST_F(X509Vectors, RootFingerprintIsThePublishedOne) {
  const Certificate ark = load("certs/milan_ark.pem").certificates.at(0);
  EXPECT_EQ(to_hex(ark.fingerprint()),
            "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd");
  EXPECT_EQ(ark.subject().common_name(), "ARK-Milan");
  EXPECT_EQ(ark.subject().get("2.5.4.10"), "Advanced Micro Devices");
  EXPECT_EQ(format_rfc3339(ark.not_before()), "2020-10-22T17:23:05Z");
  EXPECT_EQ(format_rfc3339(ark.not_after()), "2045-10-22T17:23:05Z");
  EXPECT_EQ(to_hex(ark.serial()), "010000");
}

TEST_F(X509Vectors, SerialNumberZeroIsAccepted) {
  const Certificate vcek = load("certs/milan_v3_mstav.der").certificates.at(0);
  EXPECT_EQ(to_hex(vcek.serial()), "00");
  EXPECT_EQ(vcek.public_key().curve(), Curve::kP384);
}

TEST_F(X509Vectors, ChainFilesHoldManyInAnyOrder) {
  const auto bundle = load("certs/kds_cert_chain_milan.pem");
  ASSERT_EQ(bundle.certificates.size(), 2U);
  EXPECT_EQ(bundle.certificates[0].subject().common_name(), "SEV-Milan");
  EXPECT_EQ(bundle.certificates[1].subject().common_name(), "ARK-Milan");
  Bytes both = bundle.certificates[1].der();
  both.insert(both.end(), bundle.certificates[0].der().begin(), bundle.certificates[0].der().end());
  EXPECT_EQ(parse_x509_bundle(both, "test")->certificates.size(), 2U);
}

TEST_F(X509Vectors, RevocationListsVerifyAndRevoke) {
  const Certificate ark = load("synthetic/pki/milan_ark.pem").certificates.at(0);
  const Certificate ask = load("synthetic/pki/milan_ask.pem").certificates.at(0);
  const UnixTime now = *parse_rfc3339("2026-01-15T00:00:00Z");
  const Crl empty = load("synthetic/pki/milan_crl_empty.der").crls.at(0);
  EXPECT_TRUE(empty.signature_by(ark.public_key()));
  EXPECT_TRUE(empty.fresh_at(now));
  EXPECT_FALSE(empty.revokes(ask.serial()));
  EXPECT_TRUE(load("synthetic/pki/crl_revoked_ask.der").crls.at(0).revokes(ask.serial()));
  EXPECT_FALSE(load("synthetic/pki/crl_expired.der").crls.at(0).fresh_at(now));
  EXPECT_FALSE(
      load("synthetic/pki/crl_wrong_signer.der").crls.at(0).signature_by(ark.public_key()));
}

TEST_F(X509Vectors, EveryTruncationIsRefused) {
  const Bytes der = load("certs/milan_v3_mstav.der").certificates.at(0).der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    ASSERT_FALSE(Certificate::from_der(BytesView(der).first(size))) << size;
  }
  Bytes longer = der;
  longer.push_back(0);
  EXPECT_FALSE(Certificate::from_der(longer));
}

TEST_F(X509Vectors, EveryByteOfACertificateIsVouchedFor) {
  const Certificate ask = load("certs/milan_ask.pem").certificates.at(0);
  const Bytes der = load("certs/milan_v3_mstav.der").certificates.at(0).der();
  for (std::size_t at = 0; at < der.size(); ++at) {
    Bytes flipped = der;
    flipped[at] ^= 0x01U;
    const auto certificate = Certificate::from_der(flipped);
    ASSERT_TRUE(!certificate || !certificate->signature_by(ask.public_key())) << at;
  }
}

TEST(X509Bundle, RefusesForeignAndBrokenBlocks) {
  for (const auto* text : {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                           "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
                           "-----BEGIN CERTIFICATE-----\nAAAA\n",
                           "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
                           "-----BEGIN CERTIFICATE", "hello"}) {
    EXPECT_FALSE(parse_x509_bundle(as_bytes(text), "test")) << text;
  }
  EXPECT_TRUE(parse_x509_bundle({}, "test")->certificates.empty());
}

TEST(PublicKey, RefusesAPointOffTheCurve) {
  Bytes x(32, 1);
  Bytes y(32, 1);
  EXPECT_FALSE(PublicKey::from_ec_point(Curve::kP256, x, y));
  EXPECT_FALSE(PublicKey::from_ec_point(Curve::kP384, x, y));
}

}  // namespace
}  // namespace coffer::tee
