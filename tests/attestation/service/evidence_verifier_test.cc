#include "attestation/service/evidence_verifier.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "attestation/evidence/evidence.h"
#include "tee/emulator/snp_pki.h"
#include "tee/emulator/tdx_pki.h"
#include "tee/sev-snp/verify.h"
#include "tee/x509_bundle.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;
using Names = std::set<std::string>;

constexpr tee::UnixTime kNow = 1'780'000'000;
constexpr tee::UnixTime kDay = 86400;

const emulator::FakeAmd& amd() {
  static const auto kAmd =
      *emulator::FakeAmd::make({.not_before = kNow - kDay, .not_after = kNow + kDay});
  return kAmd;
}

EvidenceVerifier verifier_of(bool trusted = true) {
  TrustConfig config;
  if (trusted) config.snp.trusted_roots = {*tee::Certificate::from_der(amd().ark())};
  return EvidenceVerifier(std::move(config));
}

Json evidence_of(const snp::Report& report, Bytes table = amd().certificate_table()) {
  return *evidence::make_snp(
      {.tee = "snp", .report = *amd().sign(report), .auxiliary = std::move(table), .manifest = {}});
}

tee::Verdict verdict_of(const EvidenceVerifier& verifier, const Json& evidence,
                        tee::UnixTime time = kNow,
                        const std::optional<Bytes>& report_data = std::nullopt) {
  const auto verified = verifier.verify({.tee = protocol::Tee::kSnp,
                                         .evidence = evidence,
                                         .report_data = report_data,
                                         .init_data_digest = std::nullopt},
                                        time);
  EXPECT_TRUE(verified) << verified.error().to_string();
  return verified->verdict;
}

Names failures(const tee::Verdict& verdict) {
  Names out;
  for (const auto& check : verdict.failed()) out.insert(check.name);
  return out;
}

TEST(EvidenceVerifier, SaysTheSameOfAChainThatItRemembers) {
  const auto mine = verifier_of();
  const Json evidence = evidence_of(amd().report());
  const auto first = verdict_of(mine, evidence);
  EXPECT_TRUE(first.verified()) << first.to_table();
  EXPECT_EQ(verdict_of(mine, evidence).to_json(), first.to_json());
}

TEST(EvidenceVerifier, RemembersNoMoreThanTheChain) {
  const auto mine = verifier_of();
  ASSERT_TRUE(verdict_of(mine, evidence_of(amd().report())).verified());
  snp::Report bound = amd().report();
  bound.report_data[0] = 'n';
  EXPECT_TRUE(verdict_of(mine, evidence_of(bound), kNow, to_bytes("n")).verified());
  EXPECT_EQ(failures(verdict_of(mine, evidence_of(bound), kNow, to_bytes("m"))),
            Names{"expect.report_data"});
  EXPECT_EQ(failures(verdict_of(mine, evidence_of(bound), kNow, Bytes(65))),
            Names{"expect.report_data"});
  Json changed = evidence_of(amd().report());
  Bytes raw = *from_base64(changed["raw_report"].get<std::string>());
  raw[0x90] ^= 1U;  // MEASUREMENT
  changed["raw_report"] = to_base64(raw);
  EXPECT_EQ(failures(verdict_of(mine, changed)), Names{"report.signature"});
  snp::Report other_chip = amd().report();
  other_chip.chip_id[0] ^= 1U;
  EXPECT_EQ(failures(verdict_of(mine, evidence_of(other_chip))), Names{"chip_id.certificate"});
  // Another leaf in the table: its chain is looked at.
  Json other_leaf = evidence_of(amd().report());
  for (auto& entry : other_leaf["cert_chain"]) {
    if (entry["cert_type"] == "VCEK") entry["data"].back() = entry["data"].back().get<int>() ^ 1;
  }
  EXPECT_FALSE(verdict_of(mine, other_leaf).verified());
}

TEST(EvidenceVerifier, RemembersNoChainThatItDoesNotTrust) {
  const auto mine = verifier_of(false);
  const Json evidence = evidence_of(amd().report());
  EXPECT_FALSE(verdict_of(mine, evidence).verified());
  EXPECT_FALSE(verdict_of(mine, evidence).verified());
}

TEST(EvidenceVerifier, AuthenticatesARememberedChainAnewOnceItsTimeIsOver) {
  const auto mine = verifier_of();
  const Json evidence = evidence_of(amd().report());
  const auto end = amd().spec().not_after;
  EXPECT_TRUE(verdict_of(mine, evidence, end).verified());
  EXPECT_FALSE(verdict_of(mine, evidence, end + 1).verified());
}

const emulator::FakeIntel& intel() {
  static const auto kIntel = *emulator::FakeIntel::make(
      {.not_before = kNow - kDay, .not_after = kNow + kDay, .platform = {}});
  return kIntel;
}

tee::Verdict verdict_of(const emulator::QuoteSpec& spec) {
  TrustConfig config;
  const auto roots = tee::parse_x509_bundle(as_bytes(intel().root_pem()), "root");
  config.tdx.emplace(
      to_hex(intel().spec().platform.fmspc),
      tdx::CollateralSet::prepare(*intel().collateral(), tdx::TrustAnchors(roots->certificates)));
  const Json evidence = *evidence::make_tdx(
      {.tee = "tdx", .report = *intel().quote(spec), .auxiliary = {}, .manifest = {}});
  const auto verified = EvidenceVerifier(std::move(config))
                            .verify({.tee = protocol::Tee::kTdx,
                                     .evidence = evidence,
                                     .report_data = std::nullopt,
                                     .init_data_digest = std::nullopt},
                                    kNow);
  EXPECT_TRUE(verified) << verified.error().to_string();
  return verified->verdict;
}

// What a claim shows, policies decide. Of a migration TD a TD 1.0 body has no claim.
TEST(EvidenceVerifier, RefusesATdThatMayMigrateAndLeavesADebuggedOneToPolicies) {
  auto spec = intel().quote_spec();
  EXPECT_EQ(failures(verdict_of(spec)), Names{});
  spec.td.td_attributes[0] |= 0x01;  // DEBUG
  EXPECT_EQ(failures(verdict_of(spec)), Names{});
  spec = intel().quote_spec();
  spec.td.td_attributes[3] |= 0x20;  // MIGRATABLE
  EXPECT_EQ(failures(verdict_of(spec)), Names{"td.migratable"});
}

class Failing final : public EndorsementSource {
 public:
  Result<snp::TrustMaterial> snp(const snp::Report& /*report*/, const snp::TrustMaterial& /*known*/,
                                 bool /*require_crl*/, tee::UnixTime /*time*/) override {
    return fail(Code::kNotFound, "get 'https://cache.internal/vcek': status 404");
  }
  Result<std::shared_ptr<const tdx::CollateralSet>> tdx(const std::string& /*fmspc*/,
                                                        const std::string& /*ca*/,
                                                        tee::UnixTime /*time*/) override {
    return fail(Code::kFailedPrecondition, "use the collateral of 'https://cache.internal'");
  }
};

// A refusal's message goes to the guest, the whole of the error into the record.
TEST(EvidenceVerifier, WhereEndorsementsAreFetchedFromIsNotInTheMessage) {
  Failing source;
  const EvidenceVerifier verifier({}, &source);
  const Json snp = evidence_of(amd().report(), {});
  const Json tdx = *evidence::make_tdx({.tee = "tdx",
                                        .report = *intel().quote(intel().quote_spec()),
                                        .auxiliary = {},
                                        .manifest = {}});
  for (const auto& [tee, evidence, code] :
       {std::tuple(protocol::Tee::kSnp, snp, Code::kNotFound),
        std::tuple(protocol::Tee::kTdx, tdx, Code::kFailedPrecondition)}) {
    const auto verified = verifier.verify({.tee = tee,
                                           .evidence = evidence,
                                           .report_data = std::nullopt,
                                           .init_data_digest = std::nullopt},
                                          kNow);
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code(), code);
    EXPECT_EQ(verified.error().message().find("internal"), std::string::npos)
        << verified.error().message();
    EXPECT_NE(verified.error().to_string().find("cache.internal"), std::string::npos);
  }
}

TEST(EndorsementCache, KeepsWhatIsTrustedForAWhileAndUpToItsCapacity) {
  const snp::TrustMaterial material = {.certificates = {*tee::Certificate::from_der(amd().vcek()),
                                                        *tee::Certificate::from_der(amd().ask())},
                                       .crls = {},
                                       .trusted_roots = {*tee::Certificate::from_der(amd().ark())}};
  const auto good = snp::endorse(*amd().sign(amd().report()), material, false, kNow);
  ASSERT_TRUE(good.trusted());
  snp::EndorsementCache cache(2);
  cache.keep("bad", snp::no_endorsement(), kNow);
  cache.keep("", good, kNow);
  EXPECT_EQ(cache.find("bad", kNow), nullptr);
  EXPECT_EQ(cache.find("", kNow), nullptr);
  for (const char* key : {"a", "b", "b"}) cache.keep(key, good, kNow);
  EXPECT_NE(cache.find("a", kNow), nullptr);
  EXPECT_NE(cache.find("a", kNow + snp::EndorsementCache::kMaxAge), nullptr);
  EXPECT_EQ(cache.find("a", kNow + snp::EndorsementCache::kMaxAge + 1), nullptr);
  EXPECT_EQ(cache.find("a", kNow - 1), nullptr) << "before it was kept";
  cache.keep("c", good, kNow);
  EXPECT_EQ(cache.find("a", kNow), nullptr);
  EXPECT_NE(cache.find("b", kNow), nullptr);
  cache.keep("d", good, good.valid_until);
  EXPECT_EQ(cache.find("d", good.valid_until + 1), nullptr);
}

TEST(EndorsementCache, AKeyIsOfAllThatChoosesAndAuthenticatesALeaf) {
  const auto key = [](const snp::Report& report, Bytes table) {
    return snp::EndorsementCache::key({.tee = "snp",
                                       .report = *amd().sign(report),
                                       .auxiliary = std::move(table),
                                       .manifest = {}});
  };
  const snp::Report plain = amd().report();
  std::set<std::string> keys = {key(plain, {}), key(plain, Bytes{1})};
  for (const auto change : {+[](snp::Report& r) { r.chip_id[0] ^= 1U; },
                            +[](snp::Report& r) { r.reported_tcb[0] ^= 1U; },
                            +[](snp::Report& r) { r.key_info.raw ^= 4U; }}) {
    snp::Report other = plain;
    change(other);
    keys.insert(key(other, {}));
  }
  EXPECT_EQ(keys.size(), 5U);
  snp::Report measured = plain;
  measured.measurement[0] ^= 1U;
  EXPECT_TRUE(keys.contains(key(measured, {})));
  EXPECT_EQ(
      snp::EndorsementCache::key({.tee = "snp", .report = {}, .auxiliary = {}, .manifest = {}}),
      "");
}

}  // namespace
}  // namespace coffer::appraisal
