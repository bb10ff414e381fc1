// The mistakes that other verifiers have made, one by one: each has its test here, named for it.
#include <algorithm>

#include "tee/emulator/der_writer.h"
#include "tee/sev-snp/cert_table.h"
#include "tests/tee/sev-snp/fake_machine.h"

namespace coffer::snp {
namespace {

Bytes good() { return *amd().sign(amd().report()); }

// --- roots and chains

TEST(Mistakes, RootsOutOfTheEvidenceAreNotTrusted) {
  // With nothing configured, the evidence's own ARK and ASK would make a chain.
  TrustMaterial trust = material();
  trust.certificates.push_back(trust.trusted_roots.front());
  trust.trusted_roots.clear();
  EXPECT_FALSE(judge(good(), trust).verified());
}

TEST(Mistakes, ASuppliedRootSignedByTheTrustedOneIsNotTheTrustedOne) {
  TrustMaterial trust = material();
  trust.certificates.push_back(certificate(*emulator::make_snp_certificate(
      amd().ark_spec(), amd().intermediate_key().public_key(), amd().ark_spec(), amd().ark_key())));
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.supplied_root"});
}

TEST(Mistakes, ASuppliedRootIsComparedAsACertificateNotByItsKey) {
  auto spec = amd().ark_spec();
  spec.not_after += kDay;
  TrustMaterial trust = material();
  trust.certificates.push_back(certificate(
      *emulator::make_snp_certificate(spec, amd().ark_key().public_key(), spec, amd().ark_key())));
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.supplied_root"});
}

TEST(Mistakes, ALeafSignedByTheRootItselfIsRefused) {
  TrustMaterial trust = material();
  trust.certificates = {certificate(*emulator::make_snp_certificate(
      amd().leaf_spec(LeafKind::kVcek), amd().leaf_key().public_key(), amd().ark_spec(),
      amd().ark_key()))};
  EXPECT_FALSE(judge(good(), trust).verified());
}

TEST(Mistakes, AnIntermediateThatIsNoCaIsRefused) {
  auto spec = amd().ask_spec();
  spec.extensions.clear();
  TrustMaterial trust = material();
  trust.certificates[1] = certificate(*emulator::make_snp_certificate(
      spec, amd().intermediate_key().public_key(), amd().ark_spec(), amd().ark_key()));
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.intermediate_ca"});
}

TEST(Mistakes, ALeafMayNotBeACa) {
  const auto trust = with_leaf(LeafKind::kVcek, [](auto& spec, auto&) {
    spec.extensions.push_back(amd().ask_spec().extensions.front());
  });
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.leaf_not_ca"});
}

TEST(Mistakes, NamesAreCheckedWhole) {
  const auto trust =
      with_leaf(LeafKind::kVcek, [](auto& spec, auto&) { spec.common_name = "SEV-VCEK-2"; });
  EXPECT_FALSE(judge(good(), trust).verified());
  const auto other = with_leaf(
      LeafKind::kVcek, [](auto& spec, auto&) { spec.organization = "Advanced Micro Devices Inc"; });
  EXPECT_EQ(failures(judge(good(), other)), Names{"chain.leaf_names"});
}

TEST(Mistakes, UnknownProductNamesAreRefusedWithoutACrash) {
  const auto trust =
      with_leaf(LeafKind::kVcek, [](auto&, auto& issuer) { issuer.common_name = "SEV-Venice"; });
  const auto names = failures(judge(good(), trust));
  EXPECT_TRUE(names.contains("chain.issuer_kind"));
  EXPECT_TRUE(names.contains("chain.intermediate"));
}

TEST(Mistakes, WeakerSignatureAlgorithmsAreRefused) {
  for (const auto scheme :
       {tee::SignatureScheme::kRsaPkcs1Sha256, tee::SignatureScheme::kRsaPkcs1Sha384}) {
    const auto trust = with_leaf(LeafKind::kVcek, [&](auto& spec, auto&) { spec.scheme = scheme; });
    EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.leaf_algorithm"});
  }
}

TEST(Mistakes, AnUnknownCriticalExtensionIsRefused) {
  const auto trust = with_leaf(LeafKind::kVcek, [](auto& spec, auto&) {
    spec.extensions.push_back({.oid = "1.2.3.4", .critical = true, .value = {0x05, 0x00}});
  });
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.critical_extensions"});
}

TEST(Mistakes, TimeIsPassedInNotReadFromAClock) {
  // Long after every certificate of the machine has ended by this machine's clock.
  EXPECT_TRUE(judge(good(), material(), {}, kNow).verified());
}

// --- the leaf's extensions

TEST(Mistakes, AnSplIsComparedAsAnIntegerNotByItsLastOctet) {
  const auto trust = with_leaf(LeafKind::kVcek, [](auto& spec, auto&) {
    extension(spec, "3.8").value = emulator::der_integer(0x100 + 219);
  });
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.leaf_extensions"});
}

TEST(Mistakes, SplsThatAreNegativeMissingOrFollowedByMoreAreRefused) {
  const auto change = [](auto apply) {
    return failures(judge(good(), with_leaf(LeafKind::kVcek, apply)));
  };
  EXPECT_EQ(change([](auto& spec, auto&) { extension(spec, "3.8").value = {0x02, 0x01, 0xDB}; }),
            Names{"chain.leaf_extensions"});
  EXPECT_EQ(change([](auto& spec, auto&) { extension(spec, "3.1").oid = "1.2.3.4"; }),
            Names{"chain.leaf_extensions"});
  EXPECT_EQ(change([](auto& spec, auto&) { extension(spec, "3.1").value.push_back(0); }),
            Names{"chain.leaf_extensions"});
}

TEST(Mistakes, AnExtensionThatStandsTwiceIsRefused) {
  auto spec = amd().leaf_spec(LeafKind::kVcek);
  spec.extensions.push_back(extension(spec, "3.8"));
  const auto der = emulator::make_snp_certificate(spec, amd().leaf_key().public_key(),
                                                  amd().ask_spec(), amd().intermediate_key());
  EXPECT_FALSE(tee::Certificate::from_der(*der));
}

TEST(Mistakes, AMissingHwidIsRefused) {
  const auto trust =
      with_leaf(LeafKind::kVcek, [](auto& spec, auto&) { extension(spec, "4").oid = "1.2.3.4"; });
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.leaf_extensions"});
}

TEST(Mistakes, AShorterHwidDoesNotMatchAChipIdWithZerosBehind) {
  Report report = amd().report();
  std::fill(report.chip_id.begin() + 8, report.chip_id.end(), std::uint8_t{0});
  const auto trust =
      with_leaf(LeafKind::kVcek, [](auto& spec, auto&) { extension(spec, "4").value.resize(8); });
  EXPECT_FALSE(judge(*amd().sign(report), trust).verified());
}

TEST(Mistakes, TheChipIdIsComparedForRealCommonNames) {
  // One verifier guards the comparison by the common name "VCEK"; certificates say "SEV-VCEK".
  Report report = amd().report();
  report.chip_id[63] ^= 0x80U;
  EXPECT_EQ(failures(judge(report)), Names{"chip_id.certificate"});
}

TEST(Mistakes, ALeafWithBothHwidAndCspIdIsRefused) {
  const auto trust = with_leaf(LeafKind::kVcek, [](auto& spec, auto&) {
    spec.extensions.push_back(extension(spec, "2"));
    spec.extensions.back().oid = "1.3.6.1.4.1.3704.1.5";
  });
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.leaf_extensions"});
}

// --- the signing key's kind

TEST(Mistakes, TheEndorsementsKindIsTiedToKeyInfoBothWays) {
  Report says_vlek = amd().report();
  says_vlek.key_info.raw = 4;
  EXPECT_EQ(failures(judge(says_vlek)), Names{"report.signing_key"});
  const auto says_vcek = judge(good(), material(LeafKind::kVlek));
  EXPECT_EQ(failures(says_vcek), Names{"report.signing_key"});
}

TEST(Mistakes, AVcekOfTheVlekIntermediateIsRefused) {
  TrustMaterial trust =
      with_leaf(LeafKind::kVcek, [](auto&, auto& issuer) { issuer = amd().asvk_spec(); });
  trust.certificates[1] = certificate(amd().asvk());
  EXPECT_EQ(failures(judge(good(), trust)), Names{"chain.issuer_kind"});
}

// --- the report's bytes

TEST(Mistakes, BytesAreVerifiedAsReceivedNotAsParsedAgain) {
  // A reader that drops reserved octets and encodes the rest again would never see this one.
  Bytes bytes = good();
  bytes[0x29F] ^= 1U;
  EXPECT_FALSE(judge(bytes, material()).find("report.signature")->ok);
}

TEST(Mistakes, TheHighOctetsOfRAndSCount) {
  for (const std::size_t at : {std::size_t{0x2A0 + 48}, std::size_t{0x2E8 + 71}}) {
    Bytes bytes = good();
    bytes[at] = 1;
    EXPECT_EQ(failures(judge(bytes, material())),
              (Names{"report.signature", "report.signature_format"}));
  }
}

TEST(Mistakes, AVersionAboveFiveIsNotReadAsFive) {
  EXPECT_EQ(failures(judge(amd().report(6))), Names{"report.version"});
}

TEST(Mistakes, TheLastModelOfGenoaIsGenoa) {
  EXPECT_EQ(product_by_cpuid({.family = 0x19, .model = 0xAF}), Product::kGenoa);
}

TEST(Mistakes, DebugMigrationAndVmplAreRefusedWithoutBeingAsked) {
  Report report = amd().report();
  report.policy.raw |= (1U << 19U) | (1U << 18U);
  report.vmpl = 2;
  EXPECT_EQ(failures(judge(report)),
            (Names{"policy.debug", "policy.migrate_ma", "report.vmpl_expected"}));
}

TEST(Mistakes, TheRevocationListIsNotOffByAccident) {
  const auto verdict = judge(good(), material());
  EXPECT_EQ(verdict.find("chain.crl")->expected, "any (waived)");
}

TEST(Mistakes, AMalleatedSignatureIsNoIdentity) {
  // (r, n - s) verifies too: the verdict and its claims must be the same, and hold no signature.
  Bytes order = *from_hex(
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc5"
      "297"
      "3");
  std::ranges::reverse(order);
  const Bytes one = good();
  Bytes other = one;
  int borrow = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const int value = order[i] - one[0x2E8 + i] - borrow;
    other[0x2E8 + i] = static_cast<std::uint8_t>(value);
    borrow = value < 0 ? 1 : 0;
  }
  const auto a = judge(one, material());
  const auto b = judge(other, material());
  EXPECT_EQ(a.verified(), b.verified());
  EXPECT_EQ(a.to_table(), b.to_table());
}

// --- certificate tables

TEST(Mistakes, ATableEntryThatWraps32BitsIsRefused) {
  Bytes table = amd().certificate_table();
  std::fill_n(table.begin() + 20, 4, std::uint8_t{0xFF});
  EXPECT_FALSE(parse_cert_table(table));
}

}  // namespace
}  // namespace coffer::snp
