// Each way in which evidence can be wrong is refused, by the check that is there for it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tee/tdx/quote.h"
#include "tests/tee/tdx/fake_intel_fixture.h"

namespace coffer::tdx {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using TdxVerify = FakeIntelTest;

TEST_F(TdxVerify, AcceptsAnUpToDateTd) {
  expect_accepted();
  const auto verdict = judge();
  EXPECT_EQ(verdict.claims()["tcb_status"], "UpToDate");
  EXPECT_TRUE(verdict.claims()["advisory_ids"].empty());
}

TEST_F(TdxVerify, AcceptsVersion5WithBothBodies) {
  quote_spec_.version = 5;
  expect_accepted();
  quote_spec_.td15 = true;
  expect_accepted();
}

TEST_F(TdxVerify, SaysThatAnEmulatedRootIsEmulated) {
  EXPECT_TRUE(judge().emulated());
  const auto set = CollateralSet::prepare(collateral_, TrustAnchors());
  const auto verdict = verify({.quote = quote(), .event_log = {}}, set, want_, time_);
  EXPECT_FALSE(verdict.verified());
  EXPECT_THAT(failures(verdict), Contains("pck_chain.root"));
  EXPECT_THAT(failures(verdict), Contains("tcb_signing_chain.root"));
}

// Every byte that the attestation key signs, and then the rest of the quote.
TEST_F(TdxVerify, RefusesEveryFlippedSignedByte) {
  quote_spec_.version = 5;
  quote_spec_.td15 = true;
  const Bytes good = quote();
  const std::size_t signed_size = parse_quote(good)->signed_bytes.size();
  ASSERT_EQ(signed_size, 702U);
  const auto set = CollateralSet::prepare(collateral_, anchors());
  for (std::size_t i = 0; i < signed_size; ++i) {
    Bytes bad = good;
    bad[i] ^= 0x40;
    const auto verdict = verify({.quote = bad, .event_log = {}}, set, want_, time_);
    EXPECT_FALSE(verdict.verified()) << i;
    const auto names = failures(verdict);
    // The first fields decide whether it is a quote at all.
    EXPECT_THAT(names, ::testing::AnyOf(Contains("quote.signature"), Contains("quote.format")))
        << i;
  }
}

TEST_F(TdxVerify, RefusesFlippedBytesBehindTheSignedOnes) {
  const Bytes good = quote();
  const Quote parsed = parse_quote(good).value();
  const auto offset = [&](BytesView part) {
    return static_cast<std::size_t>(part.data() - good.data());
  };
  const std::vector<std::pair<BytesView, std::string>> parts = {
      {parsed.signature, "quote.signature"},
      {parsed.attestation_key, "qe.report_data"},
      {parsed.qe_report, "qe.report_signature"},
      {parsed.qe_report_signature, "qe.report_signature"},
      {parsed.qe_auth_data, "qe.report_data"}};
  const auto set = CollateralSet::prepare(collateral_, anchors());
  for (const auto& [part, name] : parts) {
    for (std::size_t i = 0; i < part.size(); i += 7) {
      Bytes bad = good;
      bad[offset(part) + i] ^= 1;
      const auto verdict = verify({.quote = bad, .event_log = {}}, set, want_, time_);
      EXPECT_THAT(failures(verdict), Contains(name)) << i;
    }
  }
}

TEST_F(TdxVerify, ToleratesTrailingBytesAndNeverParsesThem) {
  for (const std::uint8_t filler : {std::uint8_t{0}, std::uint8_t{0xff}, std::uint8_t{0x30}}) {
    Bytes padded = quote();
    padded.insert(padded.end(), 3000, filler);
    const auto verdict = judge_bytes(padded);
    EXPECT_TRUE(verdict.verified()) << verdict.to_table();
    EXPECT_EQ(verdict.claims()["trailing_bytes"], 3000);
  }
}

TEST_F(TdxVerify, RefusesTruncationAtEveryByte) {
  const Bytes good = quote();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto parsed = parse_quote(BytesView(good).first(size));
    EXPECT_FALSE(parsed) << size;
  }
}

// Every length field, off by one in both directions, and huge (negative as a 32-bit integer).
TEST_F(TdxVerify, RefusesLengthsThatLie) {
  quote_spec_.version = 5;
  const Bytes good = quote();
  const std::size_t body_size = 50;
  const std::size_t signature_size = 54 + 584;
  const std::size_t outer_size = signature_size + 4 + 128 + 2;
  const std::size_t auth_size = outer_size + 4 + 384 + 64;
  const std::size_t inner_size = auth_size + 2 + 32 + 2;
  for (const std::size_t at : {body_size, signature_size, outer_size, auth_size, inner_size}) {
    for (const int change : {-1, +1}) {
      Bytes bad = good;
      bad[at] = static_cast<std::uint8_t>(bad[at] + change);
      EXPECT_FALSE(parse_quote(bad)) << at << " " << change;
    }
    Bytes bad = good;
    bad[at + 1] = 0xff;
    EXPECT_FALSE(parse_quote(bad)) << at;
    if (at == auth_size) continue;
    bad = good;
    bad[at + 3] = 0x80;
    EXPECT_FALSE(parse_quote(bad)) << at;
  }
}

TEST_F(TdxVerify, RefusesCertificationDataOfTheWrongType) {
  const Bytes good = quote();
  const std::size_t outer = 632 + 4 + 128;
  const std::size_t inner = outer + 6 + 384 + 64 + 2 + 32;
  for (const std::size_t at : {outer, inner}) {
    for (std::uint8_t type = 0; type < 9; ++type) {
      Bytes bad = good;
      if (bad[at] == type) continue;
      bad[at] = type;
      const auto parsed = parse_quote(bad);
      ASSERT_FALSE(parsed);
      EXPECT_THAT(parsed.error().to_string(), HasSubstr("certification data type"));
    }
  }
}

TEST_F(TdxVerify, RefusesTheSignatureOfAnotherQuote) {
  const Bytes first = quote();
  quote_spec_.td.report_data[0] ^= 1;
  Bytes second = quote();
  const std::size_t at = 632 + 4;
  std::copy_n(first.begin() + at, 64, second.begin() + at);
  EXPECT_THAT(failures(judge_bytes(second)), ElementsAre("quote.signature"));
}

TEST_F(TdxVerify, RefusesASignatureThatIsZeroOrOutOfRange) {
  const std::size_t at = 632 + 4;
  for (const int half : {0, 32}) {
    for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{0xff}}) {
      Bytes bad = quote();
      std::fill_n(bad.begin() + at + half, 32, value);
      EXPECT_THAT(failures(judge_bytes(bad)), ElementsAre("quote.signature"));
    }
  }
}

TEST_F(TdxVerify, RefusesAnAttestationKeyThatIsNoPoint) {
  Bytes bad = quote();
  std::fill_n(bad.begin() + 632 + 4 + 64, 64, std::uint8_t{1});
  EXPECT_THAT(failures(judge_bytes(bad)),
              ElementsAre("qe.report_data", "quote.attestation_key", "quote.signature"));
}

TEST_F(TdxVerify, RefusesAQeReportDataTailThatIsNotZero) {
  const Bytes good = quote();
  std::array<std::uint8_t, 64> data = parse_quote(good)->qe.report_data;
  data[63] = 1;
  quote_spec_.qe_report_data = data;
  expect_refused_for({"qe.report_data"});
}

TEST_F(TdxVerify, AcceptsEmptyAuthenticationData) {
  quote_spec_.auth_data.clear();
  expect_accepted();
}

struct TdCase {
  const char* what;
  std::size_t byte;
  std::uint8_t bit;
  const char* check;
  const char* setting;  // nullptr: cannot be allowed
};

TEST_F(TdxVerify, RefusesEachWeakTdAttributeUnlessItsSettingAllowsIt) {
  const std::vector<TdCase> cases = {
      {"DEBUG", 0, 0x01, "td.debug", "allow_debug"},
      {"HGS+ profiling", 0, 0x10, "td.tud", nullptr},
      {"PERF_PROF", 0, 0x20, "td.tud", nullptr},
      {"reserved TUD", 0, 0x80, "td.tud", nullptr},
      {"reserved SEC", 1, 0x01, "td.reserved_attributes", nullptr},
      {"MIGRATABLE", 3, 0x20, "td.migratable", "allow_migratable"},
      {"PKS", 3, 0x40, "td.pks", "allow_pks"},
      {"KL", 3, 0x80, "td.key_locker", "allow_key_locker"},
      {"reserved OTHER", 4, 0x01, "td.reserved_attributes", nullptr},
      {"PERFMON", 7, 0x80, "td.perfmon", "allow_perfmon"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.what);
    want_ = Expectations();
    quote_spec_.td = intel_.quote_spec().td;
    quote_spec_.td.td_attributes[test.byte] |= test.bit;
    expect_refused_for({test.check});
    if (test.setting == nullptr) continue;
    ASSERT_TRUE(apply_policy(fmt::format(R"({{"{}": true}})", test.setting), want_));
    expect_accepted();
    // The waiver shows.
    EXPECT_THAT(judge().find(test.check)->expected, HasSubstr("waived"));
  }
}

TEST_F(TdxVerify, RequiresSeptVeDisableWhenAsked) {
  quote_spec_.td.td_attributes = {};
  EXPECT_THAT(judge().find("td.sept_ve_disable")->expected, HasSubstr("waived"));
  want_.require_sept_ve_disable = true;
  expect_refused_for({"td.sept_ve_disable"});
}

TEST_F(TdxVerify, RefusesXfamWithoutItsFixedBitsOrWithForeignOnes) {
  quote_spec_.td.xfam[0] &= 0xfd;
  expect_refused_for({"td.xfam_fixed"});
  quote_spec_.td.xfam = {0xe7, 0x06, 0x06};  // PASID
  expect_refused_for({"td.xfam_reserved"});
}

TEST_F(TdxVerify, RefusesAForeignOrDebugModule) {
  quote_spec_.td.mr_signer_seam[0] = 1;
  expect_refused_for({"tcb.module_mr_signer"});
  quote_spec_.td.mr_signer_seam[0] = 0;
  quote_spec_.td.seam_attributes[7] = 0x80;
  expect_refused_for({"tcb.module_attributes"});
}

TEST_F(TdxVerify, RefusesModuleAttributesOutsideOfTheMask) {
  edit_tcb_info(
      [](auto& info) { info["tdxModuleIdentities"][0]["attributesMask"] = "FFFFFFFFFFFFFF00"; });
  quote_spec_.td.seam_attributes[7] = 0x01;
  expect_refused_for({"tcb.module_attributes"});
}

TEST_F(TdxVerify, RefusesAServiceTdUnlessItIsTheExpectedOne) {
  quote_spec_.version = 5;
  quote_spec_.td15 = true;
  quote_spec_.td.mr_service_td = Digest48{7};
  expect_refused_for({"td.mr_service_td"});
  want_.mr_service_td = Digest48{7};
  expect_accepted();
}

TEST_F(TdxVerify, ComparesEveryExpectedValueToTheLastBit) {
  want_.report_data = quote_spec_.td.report_data;
  want_.mr_td = quote_spec_.td.mr_td;
  want_.mr_config_id = quote_spec_.td.mr_config_id;
  want_.mr_owner = quote_spec_.td.mr_owner;
  want_.mr_owner_config = quote_spec_.td.mr_owner_config;
  want_.mr_seam = quote_spec_.td.mr_seam;
  for (auto& rtmr : want_.rtmr) rtmr = Digest48{};
  expect_accepted();
  const auto flip = [](auto& value) { value->back() ^= 1; };
  flip(want_.report_data);
  flip(want_.mr_td);
  flip(want_.mr_config_id);
  flip(want_.mr_owner);
  flip(want_.mr_owner_config);
  flip(want_.mr_seam);
  for (auto& rtmr : want_.rtmr) flip(rtmr);
  expect_refused_for({"expect.report_data", "expect.mr_td", "expect.mr_config_id",
                      "expect.mr_owner", "expect.mr_owner_config", "expect.mr_seam",
                      "expect.rtmr_0", "expect.rtmr_1", "expect.rtmr_2", "expect.rtmr_3"});
}

TEST_F(TdxVerify, RefusesAnotherQuotingEnclave) {
  quote_spec_.qe.mr_signer[0] ^= 1;
  expect_refused_for({"qe.mr_signer"});
  quote_spec_ = intel_.quote_spec();
  quote_spec_.qe.isv_prod_id = 1;
  expect_refused_for({"qe.isv_prod_id"});
  quote_spec_ = intel_.quote_spec();
  quote_spec_.qe.attributes[0] |= 0x02;  // DEBUG
  expect_refused_for({"qe.attributes"});
  quote_spec_ = intel_.quote_spec();
  quote_spec_.qe.misc_select[0] = 1;
  expect_refused_for({"qe.misc_select"});
  quote_spec_ = intel_.quote_spec();
  quote_spec_.qe.isv_svn = 6;  // below every level
  expect_refused_for({"tcb.qe_level", "tcb.status"});
}

TEST_F(TdxVerify, RefusesTheIdentityOfAnotherEnclave) {
  edit_qe_identity([](auto& identity) { identity["id"] = "QE"; });
  expect_refused_for({"qe_identity.kind"});
  edit_qe_identity([](auto& identity) { identity["version"] = 1; });
  expect_refused_for({"qe_identity.kind"});
}

TEST_F(TdxVerify, RefusesTcbInfoOfAnotherPlatform) {
  edit_tcb_info([](auto& info) { info["fmspc"] = "C0FFEE000001"; });
  expect_refused_for({"tcb_info.fmspc", "tcb.platform_level", "tcb.qe_level", "tcb.status"});
  EXPECT_TRUE(judge().claims()["tcb_status"].is_null());
  edit_tcb_info([](auto& info) { info["version"] = 2; });
  expect_refused_for({"tcb_info.kind"});
  edit_tcb_info([](auto& info) { info["tcbType"] = 1; });
  expect_refused_for({"tcb_info.tcb_type"});
}

TEST_F(TdxVerify, EachStatusIsRefusedUnlessAcceptedAndRevokedAlways) {
  for (const char* status :
       {"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
        "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked"}) {
    SCOPED_TRACE(status);
    want_ = Expectations();
    edit_tcb_info([&](auto& info) { info["tcbLevels"][0]["tcbStatus"] = status; });
    EXPECT_EQ(judge().claims()["tcb_status"], status);
    if (std::string_view(status) == "UpToDate") {
      expect_accepted();
      continue;
    }
    expect_refused_for({"tcb.status"});
    want_.accepted_statuses = parse_accepted_statuses("any").value();
    if (std::string_view(status) == "Revoked") {
      expect_refused_for({"tcb.status"});
      EXPECT_FALSE(parse_accepted_statuses(status));
    } else {
      expect_accepted();
      want_.accepted_statuses = parse_accepted_statuses(status).value();
      expect_accepted();
    }
  }
}

TEST_F(TdxVerify, RefusesAStatusThatIsNone) {
  edit_tcb_info([](auto& info) { info["tcbLevels"][0]["tcbStatus"] = "uptodate"; });
  expect_refused_for({"tcb_info.format"});
}

TEST_F(TdxVerify, EachComponentBelowItsLevelLosesTheLevel) {
  for (std::size_t i = 0; i < 16; ++i) {
    edit_tcb_info([&](auto& info) {
      auto& svn = info["tcbLevels"][0]["tcb"]["sgxtcbcomponents"][i]["svn"];
      svn = svn.template get<int>() + 1;
    });
    expect_refused_for({"tcb.platform_level", "tcb.status"});
    // TEE_TCB_SVN[1] is the module's major version: from there on the identity judges 0 and 1.
    edit_tcb_info([&](auto& info) {
      auto& svn = info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"][i]["svn"];
      svn = svn.template get<int>() + 1;
    });
    if (i < 2) {
      expect_accepted();
    } else {
      expect_refused_for({"tcb.platform_level", "tcb.status"});
    }
  }
  edit_tcb_info([](auto& info) { info["tcbLevels"][0]["tcb"]["pcesvn"] = 14; });
  expect_refused_for({"tcb.platform_level", "tcb.status"});
}

TEST_F(TdxVerify, RefusesAModuleWithoutIdentityOrLevel) {
  edit_tcb_info([](auto& info) { info["tdxModuleIdentities"][0]["id"] = "TDX_03"; });
  expect_refused_for({"tcb.module_identity", "tcb.status"});
  edit_tcb_info(
      [](auto& info) { info["tdxModuleIdentities"][0]["tcbLevels"][0]["tcb"]["isvsvn"] = 7; });
  expect_refused_for({"tcb.module_level", "tcb.status"});
}

TEST_F(TdxVerify, RefusesAModuleStatusThatNoModuleHas) {
  edit_tcb_info([](auto& info) {
    info["tdxModuleIdentities"][0]["tcbLevels"][0]["tcbStatus"] = "SWHardeningNeeded";
  });
  expect_refused_for({"tcb.status"});
}

TEST_F(TdxVerify, HonoursTheAgeAndAdvisoryLimits) {
  edit_tcb_info([](auto& info) {
    info["tcbLevels"][0]["tcbStatus"] = "OutOfDate";
    info["tcbLevels"][0]["tcbDate"] = tee::format_rfc3339(kNow - 10 * kDay);
    info["tcbLevels"][0]["advisoryIDs"] = {"INTEL-SA-00002", "INTEL-SA-00001"};
  });
  want_.accepted_statuses = parse_accepted_statuses("OutOfDate").value();
  EXPECT_THAT(judge().claims()["advisory_ids"], ElementsAre("INTEL-SA-00001", "INTEL-SA-00002"));
  want_.max_tcb_age_days = 10;
  expect_accepted();
  want_.max_tcb_age_days = 9;
  expect_refused_for({"tcb.age"});
  want_.max_tcb_age_days.reset();
  want_.allowed_advisory_ids = {"INTEL-SA-00001"};
  expect_refused_for({"tcb.advisories"});
  want_.allowed_advisory_ids = {"INTEL-SA-00001", "INTEL-SA-00002"};
  expect_accepted();
}

TEST_F(TdxVerify, HonoursThePlatformAllowlist) {
  want_.trusted_ppids = {{{0xe1}}};
  expect_accepted();
  want_.trusted_ppids = {{{0xe2}}};
  expect_refused_for({"expect.ppid"});
}

TEST_F(TdxVerify, RefusesStaleAndFutureCollateral) {
  time_ = kNow + 30 * kDay;  // nextUpdate itself
  expect_refused_for({"tcb_info.fresh", "qe_identity.fresh", "root_crl.fresh", "pck_crl.fresh"});
  time_ = kNow + 30 * kDay - 1;
  expect_accepted();
  time_ = kNow - kDay;
  expect_accepted();
  time_ = kNow - kDay - 1;
  expect_refused_for({"tcb_info.fresh", "qe_identity.fresh", "root_crl.fresh", "pck_crl.fresh",
                      "tcb_signing_chain.validity", "pck_crl_issuer_chain.validity",
                      "pck_chain.validity"});
}

TEST_F(TdxVerify, RefusesAnOlderEvaluationThanThePinnedOne) {
  want_.min_tcb_evaluation_data_number = 2;
  expect_refused_for({"tcb_info.evaluation_number", "qe_identity.evaluation_number"});
}

TEST_F(TdxVerify, RefusesRevokedCertificates) {
  collateral_.pck_crl = intel_.pck_crl({intel_.pck_spec().serial}).value();
  expect_refused_for({"pck.not_revoked"});
  collateral_ = intel_.collateral().value();
  collateral_.root_ca_crl = intel_.root_crl({intel_.ca_spec().serial}).value();
  expect_refused_for({"pck_chain.ca_not_revoked"});
  collateral_.root_ca_crl = intel_.root_crl({intel_.tcb_signing_spec().serial}).value();
  expect_refused_for({"tcb_signing_chain.not_revoked"});
}

TEST_F(TdxVerify, RefusesRevocationListsOfOthers) {
  const auto other = make();
  collateral_.pck_crl_issuer_chain.clear();
  collateral_.pck_crl = other.pck_crl({}).value();
  expect_refused_for({"pck_crl.signature"});
  collateral_ = intel_.collateral().value();
  collateral_.root_ca_crl = other.root_crl({}).value();
  expect_refused_for({"root_crl.signature"});
  collateral_ = intel_.collateral().value();
  collateral_.pck_crl = intel_.root_crl({}).value();
  expect_refused_for({"pck_crl.issuer", "pck_crl.signature"});
}

TEST_F(TdxVerify, RefusesMissingRevocationListsUnlessWaived) {
  collateral_.pck_crl.clear();
  collateral_.root_ca_crl.clear();
  expect_refused_for({"root_crl.present", "pck_crl.present"});
  want_.require_crl = false;
  expect_accepted();
  EXPECT_THAT(judge().find("pck_crl.present")->expected, HasSubstr("waived"));
  collateral_.pck_crl = {1, 2, 3};
  expect_refused_for({"pck_crl.format"});
}

TEST_F(TdxVerify, RefusesDocumentsSignedByAnotherIntel) {
  const auto other = make();
  const auto foreign = other.collateral().value();
  collateral_.tcb_info = foreign.tcb_info;
  expect_refused_for({"tcb_info.signature"});
  collateral_ = intel_.collateral().value();
  collateral_.qe_identity = foreign.qe_identity;
  expect_refused_for({"qe_identity.signature"});
  collateral_ = intel_.collateral().value();
  collateral_.tcb_info = foreign.tcb_info;
  collateral_.qe_identity = foreign.qe_identity;
  collateral_.tcb_signing_chain = foreign.tcb_signing_chain;
  // Its names are right: only the anchor, octet for octet, tells.
  expect_refused_for({"tcb_signing_chain.root", "root_crl.signature"});
}

TEST_F(TdxVerify, RefusesAnEditedDocument) {
  const auto at = collateral_.tcb_info.find("\"pcesvn\":13");
  ASSERT_NE(at, std::string::npos);
  collateral_.tcb_info[at + 9] = '2';
  EXPECT_THAT(failures(judge()), Contains("tcb_info.signature"));
}

TEST_F(TdxVerify, SaysWhatIsAbsent) {
  collateral_ = {};
  EXPECT_THAT(failures(judge()),
              ::testing::UnorderedElementsAre("tcb_info.format", "qe_identity.format",
                                              "tcb_signing_chain.format", "root_crl.present",
                                              "pck_crl.present"));
}

TEST_F(TdxVerify, RefusesPckCertificatesThatAreOutOfPlace) {
  const auto with_leaf = [&](const emulator::CertificateSpec& spec) {
    const std::string chain = intel_.pck_chain_pem();
    const auto second = chain.find("-----BEGIN", 1);
    quote_spec_.pck_chain =
        emulator::certificate_pem(intel_.issue_pck(spec).value()) + chain.substr(second);
  };
  auto spec = intel_.pck_spec();
  spec.common_name = "Intel SGX PCK Certificate 2";
  with_leaf(spec);
  expect_refused_for({"pck_chain.names"});
  spec = intel_.pck_spec();
  spec.organization = "Intel Corporation";
  with_leaf(spec);
  expect_refused_for({"pck_chain.names"});
  spec = intel_.pck_spec();
  spec.ca = true;
  with_leaf(spec);
  expect_refused_for({"pck_chain.ca"});
  spec = intel_.pck_spec();
  spec.not_after = kNow - 1;
  with_leaf(spec);
  expect_refused_for({"pck_chain.validity"});
  spec = intel_.pck_spec();
  spec.not_before = kNow + 1;
  with_leaf(spec);
  expect_refused_for({"pck_chain.validity"});
  spec = intel_.pck_spec();
  spec.extension.reset();
  with_leaf(spec);
  expect_refused_for({"pck.sgx_extension"});
}

TEST_F(TdxVerify, RefusesChainsOfTheWrongLengthOrForm) {
  const std::string chain = intel_.pck_chain_pem();
  const std::string leaf = chain.substr(0, chain.find("-----BEGIN", 1));
  quote_spec_.pck_chain = leaf;
  EXPECT_THAT(failures(judge()), Contains("pck_chain.length"));
  quote_spec_.pck_chain = leaf + chain;
  EXPECT_THAT(failures(judge()), Contains("pck_chain.length"));
  quote_spec_.pck_chain = "text " + chain;
  EXPECT_THAT(failures(judge()), Contains("pck_chain.format"));
  quote_spec_.pck_chain = "";
  EXPECT_THAT(failures(judge()), Contains("pck_chain.format"));
  quote_spec_.pck_chain = chain + std::string(1, '\0');
  expect_accepted();
}

TEST_F(TdxVerify, RefusesAChainOfAnotherIntel) {
  const auto other = make();
  const Bytes foreign = other.quote(other.quote_spec()).value();
  const auto names = failures(judge_bytes(foreign));
  EXPECT_THAT(names, Contains("pck_chain.root"));
}

TEST_F(TdxVerify, NeverStopsAtTheFirstFailure) {
  quote_spec_.td.td_attributes[0] = 1;
  quote_spec_.td.xfam = {};
  quote_spec_.qe.mr_signer[0] ^= 1;
  collateral_.pck_crl = intel_.pck_crl({intel_.pck_spec().serial}).value();
  edit_tcb_info([](auto& info) { info["tcbLevels"][0]["tcbStatus"] = "OutOfDate"; });
  expect_refused_for(
      {"td.debug", "td.xfam_fixed", "qe.mr_signer", "pck.not_revoked", "tcb.status"});
}

TEST_F(TdxVerify, EveryCheckNamesItsSource) {
  const tee::Verdict verdict = judge();
  for (const auto& check : verdict.checks()) {
    EXPECT_FALSE(check.name.empty());
    EXPECT_FALSE(check.source.empty()) << check.name;
    EXPECT_FALSE(check.expected.empty()) << check.name;
    EXPECT_FALSE(check.found.empty()) << check.name;
  }
}

TEST_F(TdxVerify, SurvivesAnythingForAQuote) {
  for (const std::size_t size : {0U, 1U, 48U, 1184U, 65536U, 64U << 20U}) {
    for (const std::uint8_t fill : {std::uint8_t{0}, std::uint8_t{0xff}}) {
      EXPECT_THAT(failures(judge_bytes(Bytes(size, fill))), Contains("quote.format"));
    }
  }
}

TEST_F(TdxVerify, RefusesCollateralThatIsNestedTooDeepOrOverflowsANumber) {
  const std::string good = collateral_.tcb_info;
  const std::size_t at = good.find("\"pcesvn\":13");
  ASSERT_NE(at, std::string::npos);
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  for (const std::string& number :
       {std::string("65536"), std::string("18446744073709551629"), std::string("-1"),
        std::string("13.5"), std::string("1e400"), deep}) {
    collateral_.tcb_info = good;
    collateral_.tcb_info.replace(at + 9, 2, number);
    EXPECT_THAT(failures(judge()), Contains("tcb_info.format")) << number.substr(0, 24);
  }
}

}  // namespace
}  // namespace coffer::tdx
