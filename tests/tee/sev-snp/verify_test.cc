// What must be refused, each by the check that is named for it.
#include <algorithm>

#include "tee/emulator/der_writer.h"
#include "tests/tee/sev-snp/fake_machine.h"

namespace coffer::snp {
namespace {

TEST(Verify, AGoodReportOfEachVersionVerifiesAndIsMarkedEmulated) {
  for (const std::uint32_t version : {2U, 3U, 4U, 5U}) {
    const auto verdict = judge(amd().report(version));
    EXPECT_TRUE(verdict.verified()) << verdict.to_table();
    EXPECT_TRUE(verdict.emulated());
  }
}

TEST(Verify, AVlekVerifies) {
  Report report = amd().report();
  report.key_info.raw = 4;
  report.chip_id.fill(0);
  const auto verdict = judge(*amd().sign(report), material(LeafKind::kVlek));
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
}

TEST(Verify, AnEmulatedRootIsTrustedOnlyWhenConfigured) {
  TrustMaterial trust = material();
  trust.certificates.push_back(certificate(amd().ark()));
  trust.trusted_roots.clear();
  const auto verdict = judge(*amd().sign(amd().report()), trust);
  EXPECT_FALSE(verdict.verified());
  EXPECT_FALSE(verdict.find("chain.intermediate_signature")->ok);
  EXPECT_FALSE(verdict.find("chain.supplied_root")->ok);
}

TEST(Verify, EachByteOfTheSignedPartFlippedIsRefusedByTheSignature) {
  const Bytes good = *amd().sign(amd().report());
  const Endorsement endorsement = authenticate(certificate(amd().vcek()), material(), false, kNow);
  ASSERT_TRUE(verify_endorsed(good, endorsement, {}, kNow).verified());
  for (std::size_t at = 0; at < kSignedSize; ++at) {
    Bytes flipped = good;
    flipped[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    const auto verdict = verify_endorsed(flipped, endorsement, {}, kNow);
    ASSERT_FALSE(verdict.find("report.signature")->ok) << at;
    ASSERT_FALSE(verdict.verified()) << at;
  }
}

TEST(Verify, SignaturesOutOfRangeAreRefused) {
  const Bytes good = *amd().sign(amd().report());
  // n of P-384, little endian.
  Bytes order = *from_hex(
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc5"
      "297"
      "3");
  std::ranges::reverse(order);
  for (const std::size_t field : {std::size_t{0x2A0}, std::size_t{0x2E8}}) {
    Bytes zero = good;
    std::fill_n(zero.begin() + static_cast<std::ptrdiff_t>(field), 72, std::uint8_t{0});
    EXPECT_EQ(failures(judge(zero, material())), Names{"report.signature"});
    Bytes at_order = zero;
    std::ranges::copy(order, at_order.begin() + static_cast<std::ptrdiff_t>(field));
    EXPECT_EQ(failures(judge(at_order, material())), Names{"report.signature"});
    Bytes big_endian = good;
    std::reverse(big_endian.begin() + static_cast<std::ptrdiff_t>(field),
                 big_endian.begin() + static_cast<std::ptrdiff_t>(field) + 48);
    EXPECT_EQ(failures(judge(big_endian, material())), Names{"report.signature"});
  }
}

TEST(Verify, ACertificateOutOfItsTimeIsRefused) {
  const Bytes report = *amd().sign(amd().report());
  const Names all{"chain.leaf_validity", "chain.intermediate_validity", "chain.root_validity",
                  "chain.time"};
  EXPECT_EQ(failures(judge(report, material(), {}, kNow + kDay + 1)), all) << "expired";
  EXPECT_EQ(failures(judge(report, material(), {}, kNow - kDay - 1)), all) << "not yet valid";
  EXPECT_TRUE(judge(report, material(), {}, kNow + kDay).verified()) << "the last good second";
  EXPECT_TRUE(judge(report, material(), {}, kNow - kDay).verified()) << "the first good second";
}

TEST(Verify, AWarmChainIsNotUsedBeyondItsTime) {
  const Bytes report = *amd().sign(amd().report());
  const Endorsement endorsement = authenticate(certificate(amd().vcek()), material(), false, kNow);
  EXPECT_EQ(failures(verify_endorsed(report, endorsement, {}, kNow + kDay + 1)),
            Names{"chain.time"});
}

TEST(Verify, RevocationIsHonoured) {
  const Bytes report = *amd().sign(amd().report());
  const auto with_crl = [&](const emulator::SnpCrlSpec& spec) {
    TrustMaterial trust = material();
    trust.crls = {*tee::Crl::from_der(*amd().crl(spec))};
    return judge(report, trust, {.require_crl = true});
  };
  const auto good = with_crl({.this_update = kNow - 1, .next_update = kNow + 1, .revoked = {7}});
  EXPECT_TRUE(good.verified()) << good.to_table();
  EXPECT_EQ(failures(with_crl(
                {.this_update = kNow - 1, .next_update = kNow + 1, .revoked = {7, 0x10001}})),
            Names{"chain.crl_revocation"});
  EXPECT_EQ(failures(with_crl({.this_update = kNow - 9, .next_update = kNow})),
            (Names{"chain.crl_fresh", "chain.time"}));
  EXPECT_EQ(failures(with_crl({.this_update = kNow + 1, .next_update = kNow + 9})),
            (Names{"chain.crl_fresh", "chain.time"}));
  EXPECT_EQ(failures(judge(report, material(), {.require_crl = true})), Names{"chain.crl"});
}

TEST(Verify, AnotherProductsRootIsRefused) {
  // A chain that is good in itself, whose intermediate names another product than its root.
  const auto spec = [] {
    auto out = amd().ask_spec();
    out.common_name = "SEV-Genoa";
    return out;
  }();
  TrustMaterial trust = with_leaf(LeafKind::kVcek, [&](auto&, auto& issuer) { issuer = spec; });
  trust.certificates[1] = certificate(*emulator::make_snp_certificate(
      spec, amd().intermediate_key().public_key(), amd().ark_spec(), amd().ark_key()));
  const auto names = failures(judge(*amd().sign(amd().report()), trust));
  EXPECT_TRUE(names.contains("chain.root_product"));
  EXPECT_TRUE(names.contains("product.cpuid"));
}

TEST(Verify, ARequestedProductMustBeTheChains) {
  const Bytes report = *amd().sign(amd().report());
  const auto verdict = verify({.report = report,
                               .material = material(),
                               .expectations = {},
                               .time = kNow,
                               .product = Product::kGenoa});
  EXPECT_EQ(failures(verdict), Names{"product.requested"});
}

struct Broken {
  std::string_view what;
  void (*change)(Report&);
  Names names;
};

TEST(Verify, EachFieldOutOfItsPlaceIsRefusedByName) {
  const std::vector<Broken> cases{
      {"wrong chip", [](Report& r) { r.chip_id[0] ^= 1U; }, {"chip_id.certificate"}},
      {"masked chip id", [](Report& r) { r.chip_id.fill(0); }, {"chip_id.certificate"}},
      {"TCB below the certificate", [](Report& r) { --r.reported_tcb[7]; }, {"tcb.certificate"}},
      {"TCB above the certificate",
       [](Report& r) {
         ++r.reported_tcb[7];
         ++r.committed_tcb[7];
         ++r.current_tcb[7];
       },
       {"tcb.certificate"}},
      {"committed above current",
       [](Report& r) { ++r.committed_tcb[0]; },
       {"tcb.committed_at_most_current"}},
      {"launch above current",
       [](Report& r) { ++r.launch_tcb[6]; },
       {"tcb.launch_at_most_current"}},
      {"debug", [](Report& r) { r.policy.raw |= 1U << 19U; }, {"policy.debug"}},
      {"migration allowed", [](Report& r) { r.policy.raw |= 1U << 18U; }, {"policy.migrate_ma"}},
      {"migration agent", [](Report& r) { r.report_id_ma[3] = 0; }, {"policy.migration_agent"}},
      {"VMPL 1", [](Report& r) { r.vmpl = 1; }, {"report.vmpl_expected"}},
      {"the host's own report", [](Report& r) { r.vmpl = kHostVmpl; }, {"report.vmpl_expected"}},
      {"mask chip key", [](Report& r) { r.key_info.raw |= 2U; }, {"report.mask_chip_key"}},
      {"signing key none", [](Report& r) { r.key_info.raw |= 7U << 2U; }, {"report.signing_key"}},
      {"author digest without its flag",
       [](Report& r) { r.author_key_digest[0] = 1; },
       {"report.author_key"}},
      {"ABI above the firmware", [](Report& r) { r.policy.raw |= 0x138; }, {"policy.abi"}},
      {"CPUID of Genoa", [](Report& r) { r.cpuid.model = 0x11; }, {"product.cpuid"}},
      {"CPUID of nothing we know", [](Report& r) { r.cpuid.family = 0x1B; }, {"product.cpuid"}},
      {"a reserved TCB octet", [](Report& r) { r.current_tcb[3] = 1; }, {"tcb.layout"}},
  };
  for (const auto& broken : cases) {
    Report report = amd().report();
    broken.change(report);
    const auto verdict = judge(report);
    EXPECT_EQ(failures(verdict), broken.names) << broken.what << "\n" << verdict.to_table();
  }
}

TEST(Verify, AMigrationAgentIsWaivedOnlyWhereTheGuestsPolicyAllowsOne) {
  const Expectations want{.allow_migrate_ma = true};
  Report report = amd().report();
  report.report_id_ma[3] = 0;
  EXPECT_EQ(failures(judge(report, want)), Names{"policy.migration_agent"});
  report.policy.raw |= 1U << 18U;
  EXPECT_EQ(failures(judge(report, want)), Names{});
}

struct Wanted {
  std::string_view what;
  Expectations expectations;
  Names names;
};

Bytes one_bit_off(BytesView value) {
  Bytes out(value.begin(), value.end());
  out.back() ^= 1U;
  return out;
}

TEST(Verify, EachExpectationIsComparedAndNamed) {
  Report report = amd().report();
  report.report_data.fill(1);
  report.measurement.fill(2);
  report.host_data.fill(3);
  const auto off = [](BytesView v) { return one_bit_off(v); };
  const std::vector<Wanted> cases{
      {"nothing", {}, {}},
      {"report data", {.report_data = off(report.report_data)}, {"expect.report_data"}},
      {"measurement", {.measurements = {off(report.measurement)}}, {"expect.measurement"}},
      {"host data", {.host_data = off(report.host_data)}, {"expect.host_data"}},
      {"family id", {.family_id = Bytes(16, 9)}, {"expect.family_id"}},
      {"image id", {.image_id = Bytes(16, 9)}, {"expect.image_id"}},
      {"report id", {.report_id = Bytes(32, 9)}, {"expect.report_id"}},
      {"chip", {.chip_ids = {Bytes(64, 9)}}, {"expect.chip_id"}},
      {"id key", {.id_key_digests = {Bytes(48, 9)}}, {"expect.id_key"}},
      {"author key", {.author_key_digests = {Bytes(48, 9)}}, {"expect.author_key"}},
      {"VMPL", {.vmpl = 2}, {"report.vmpl_expected"}},
      {"SMT", {.allow_smt = false}, {"platform.smt"}},
      {"committed firmware is", {.allow_provisional_firmware = false}, {}},
      {"alias check is complete", {.require_alias_check = true}, {}},
      {"TSME", {.require_tsme = true}, {"platform.tsme"}},
      {"ciphertext hiding", {.require_ciphertext_hiding = true}, {"platform.ciphertext_hiding"}},
      {"RAPL", {.require_rapl_disabled = true}, {"platform.rapl_disabled"}},
      {"single socket", {.require_single_socket = true}, {"policy.single_socket"}},
      {"AES-256", {.require_aes_256_xts = true}, {"policy.mem_aes_256_xts"}},
      {"page swap", {.require_page_swap_disabled = true}, {"policy.page_swap_disable"}},
      {"report version", {.min_report_version = 5}, {"report.minimum_version"}},
      {"guest SVN", {.min_guest_svn = 1}, {"guest_svn.minimum"}},
      {"TCB at the limit", {.min_tcb = MinimumTcb{.microcode = 219}}, {}},
      {"TCB", {.min_tcb = MinimumTcb{.microcode = 220}}, {"tcb.minimum_reported"}},
      {"launch TCB", {.min_launch_tcb = MinimumTcb{.snp = 25}}, {"tcb.minimum_launch"}},
      {"committed", {.min_committed_tcb = MinimumTcb{.snp = 25}}, {"tcb.minimum_committed"}},
      {"current TCB", {.min_current_tcb = MinimumTcb{.tee = 1}}, {"tcb.minimum_current"}},
      {"FMC where there is none", {.min_tcb = MinimumTcb{.fmc = 1}}, {"tcb.minimum_reported"}},
      {"firmware",
       {.min_firmware = FirmwareVersion{.build = 30, .minor = 55, .major = 1}},
       {"firmware.minimum"}},
      {"firmware at the limit",
       {.min_firmware = FirmwareVersion{.build = 29, .minor = 55, .major = 1}},
       {}},
      {"mitigations", {.required_launch_mitigations = 1}, {"mitigations.launch"}},
      {"policy", {.policy = 0x30001}, {"policy.exact"}},
      {"a provider", {.csp_id = "CN=csp.invalid"}, {"expect.csp_id"}},
  };
  for (const auto& wanted : cases) {
    const auto verdict = judge(report, wanted.expectations);
    EXPECT_EQ(failures(verdict), wanted.names) << wanted.what << "\n" << verdict.to_table();
  }
}

TEST(Verify, ValuesThatAreAsExpectedVerify) {
  Report report = amd().report(5);
  report.report_data.fill(1);
  report.key_info.raw |= 1U;
  report.author_key_digest.fill(4);
  report.id_key_digest.fill(5);
  report.launch_mit_vector = report.current_mit_vector = 0x3F;
  const auto verdict = judge(report, {.report_data = Bytes(64, 1),
                                      .measurements = {Bytes(48, 1), Bytes(48, 0)},
                                      .host_data = Bytes(32, 0),
                                      .id_key_digests = {Bytes(48, 9), Bytes(48, 5)},
                                      .author_key_digests = {Bytes(48, 4)},
                                      .required_launch_mitigations = 0x21});
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
}

TEST(Verify, ProvisionalFirmwareIsRefusedWhenAsked) {
  Report report = amd().report();
  ++report.current_version.build;
  EXPECT_TRUE(judge(report).verified());
  EXPECT_EQ(failures(judge(report, {.allow_provisional_firmware = false})),
            Names{"firmware.committed"});
}

TEST(Verify, WaiversShowInTheVerdict) {
  Report report = amd().report();
  report.policy.raw |= (1U << 19U) | (1U << 18U);
  const auto verdict = judge(report, {.allow_debug = true, .allow_migrate_ma = true});
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_EQ(verdict.find("policy.debug")->expected, "any (waived)");
  EXPECT_EQ(verdict.find("policy.debug")->source, "allow_debug");
  EXPECT_EQ(verdict.find("expect.report_data")->expected, "any (waived)");
  EXPECT_EQ(verdict.find("tcb.minimum_reported")->expected, "any (waived)");
}

TEST(Verify, DoesNotStopAtTheFirstFailure) {
  Report report = amd().report();
  report.policy.raw |= 1U << 19U;
  report.vmpl = 3;
  report.chip_id[1] ^= 1U;
  EXPECT_EQ(failures(judge(report)),
            (Names{"policy.debug", "report.vmpl_expected", "chip_id.certificate"}));
}

}  // namespace
}  // namespace coffer::snp
