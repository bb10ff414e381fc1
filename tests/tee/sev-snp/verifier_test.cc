#include "tee/sev-snp/verifier.h"

#include "tests/tee/sev-snp/fake_machine.h"

namespace coffer::snp {
namespace {

tee::Evidence evidence_of(const Report& report) {
  return {.tee = "snp",
          .report = *amd().sign(report),
          .auxiliary = amd().certificate_table(),
          .manifest = {}};
}

std::unique_ptr<tee::Verifier> verifier(Expectations expectations = {}) {
  return make_verifier(
      {.certificates = {}, .crls = {}, .trusted_roots = {certificate(amd().ark())}},
      std::move(expectations));
}

TEST(Verifier, TakesTheChainOutOfTheHostsTable) {
  Report report = amd().report();
  report.report_data[0] = 'n';
  const auto verdict = verifier()->verify(evidence_of(report), to_bytes("n"), kNow);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_EQ(verifier()->tee(), "snp");
}

TEST(Verifier, ComparesReportDataAndSaysWhenItDoesNot) {
  const auto other = verifier()->verify(evidence_of(amd().report()), to_bytes("n"), kNow);
  EXPECT_EQ(failures(other), Names{"expect.report_data"});
  const auto none = verifier()->verify(evidence_of(amd().report()), {}, kNow);
  EXPECT_TRUE(none.verified());
  EXPECT_EQ(none.find("expect.report_data")->expected, "any (waived)");
  const auto longer = verifier()->verify(evidence_of(amd().report()), Bytes(65), kNow);
  EXPECT_FALSE(longer.verified());
  // One that was configured stands when a call brings none.
  const auto configured = verifier({.report_data = Bytes(64, 9)});
  EXPECT_EQ(failures(configured->verify(evidence_of(amd().report()), {}, kNow)),
            Names{"expect.report_data"});
}

TEST(Verifier, ATableThatCannotBeReadIsAFailedCheck) {
  tee::Evidence evidence = evidence_of(amd().report());
  evidence.auxiliary[16] ^= 0xFFU;
  EXPECT_TRUE(
      failures(verifier()->verify(evidence, {}, kNow)).contains("evidence.certificate_table"));
  evidence.auxiliary.clear();
  EXPECT_EQ(failures(verifier()->verify(evidence, {}, kNow)).count("evidence.certificate_table"),
            0U);
}

TEST(Verifier, ARootInTheHostsTableIsNotBelieved) {
  const auto pinned = make_verifier({}, {});
  EXPECT_FALSE(pinned->verify(evidence_of(amd().report()), {}, kNow).verified());
}

}  // namespace
}  // namespace coffer::snp
