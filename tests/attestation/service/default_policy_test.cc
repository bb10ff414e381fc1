// The policy that appraises unless another is set: what each TEE's part needs to be affirming.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "attestation/initdata/initdata.h"
#include "attestation/reference_values/message.h"
#include "attestation/service/ear.h"
#include "attestation/service/policies.h"
#include "attestation/service/unmet.h"
#include "tests/attestation/store/scratch_store.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr tee::UnixTime kNow = 1'800'000'000;

class DefaultPolicy : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(policies_.install_defaults()); }
  void set(const Json& values) {
    const std::string text = values.dump();
    const auto parsed = rv::parse_message(as_bytes(text), {.now = kNow, .registrar = "t"});
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    ASSERT_TRUE(values_.set(*parsed, {.name = "t", .time = kNow}));
  }
  Appraisal appraise(const std::string& tee, const Json& of) {
    const Json input = {{tee, of},
                        {"report_data", ""},
                        {"init_data", init_data_},
                        {"runtime_data_claims", nullptr},
                        {"init_data_claims", nullptr}};
    auto appraisal = policies_.appraise("default", "cpu", input.dump(), kNow);
    EXPECT_TRUE(appraisal) << appraisal.error().to_string();
    return appraisal ? *std::move(appraisal) : Appraisal();
  }
  // executables, hardware, configuration.
  std::array<int, 3> claims(const std::string& tee, const Json& of) {
    auto vector = appraise(tee, of).vector;
    return {vector["executables"], vector["hardware"], vector["configuration"]};
  }

  Json init_data_ = std::string(64, '0');
  testing::ScratchStore store_{{.clock = [] { return kNow; }}};
  rv::ValueSet values_{*store_};
  Policies policies_{*store_, values_};
};

TEST_F(DefaultPolicy, AzuresSnpNeedsMeasurementPcrTcbAndConfigurationAsTexts) {
  Json guest = {{"measurement", "bWVhc3VyZW1lbnQ="}, {"reported_tcb_bootloader", "4"},
                {"reported_tcb_microcode", "219"},   {"reported_tcb_snp", "24"},
                {"reported_tcb_tee", "0"},           {"policy_debug_allowed", "false"},
                {"policy_migrate_ma", "false"},      {"platform_smt_enabled", "true"},
                {"platform_tsme_enabled", "false"},  {"policy_abi_major", "0"},
                {"policy_abi_minor", "31"},          {"policy_single_socket", "false"},
                {"policy_smt_allowed", "true"},      {"tpm", {{"pcr11", "aa"}}}};
  EXPECT_EQ(claims("az-snp-vtpm", guest), (std::array{33, 97, 36})) << "no value is known";
  set({{"measurement", {"bWVhc3VyZW1lbnQ="}},
       {"snp_pcr11", {"aa"}},
       {"tcb_bootloader", {"4"}},
       {"tcb_microcode", {"219"}},
       {"tcb_snp", {"23", "24"}},
       {"tcb_tee", {"0"}},
       {"smt_enabled", {"true"}},
       {"tsme_enabled", {"true", "false"}},
       {"abi_major", {"0"}},
       {"abi_minor", {"31"}},
       {"single_socket", {"false"}},
       {"smt_allowed", {"true"}}});
  EXPECT_EQ(claims("az-snp-vtpm", guest), (std::array{3, 2, 2}));
  const auto with = [&](const char* name, const char* value) {
    Json changed = guest;
    changed[name] = value;
    return claims("az-snp-vtpm", changed);
  };
  EXPECT_EQ(with("measurement", "x"), (std::array{33, 2, 2}));
  EXPECT_EQ(with("reported_tcb_snp", "22"), (std::array{3, 97, 2}));
  EXPECT_EQ(with("policy_debug_allowed", "true"), (std::array{3, 2, 36}));
  EXPECT_EQ(with("platform_smt_enabled", "false"), (std::array{3, 2, 36}));
  guest["tpm"]["pcr11"] = "ab";
  EXPECT_EQ(claims("az-snp-vtpm", guest), (std::array{33, 2, 2}));
}

TEST_F(DefaultPolicy, AzuresTdxNeedsPcrMrtdCurrentTcbAndXfam) {
  Json guest = {
      {"quote",
       {{"header", {{"tee_type", "81000000"}, {"vendor_id", "939a7233f79c4ca9940a0db3957f0607"}}},
        {"body", {{"mr_td", "01"}, {"xfam", "02"}}}}},
      {"td_attributes", {{"debug", false}}},
      {"tcb_status", "UpToDate"},
      {"collateral_expiration_status", "0"},
      {"tpm", {{"pcr11", "bb"}}}};
  EXPECT_EQ(claims("az-tdx-vtpm", guest), (std::array{33, 97, 36}));
  set({{"mr_td", {"01"}}, {"xfam", {"02"}}, {"tdx_pcr11", {"bb"}}});
  EXPECT_EQ(claims("az-tdx-vtpm", guest), (std::array{3, 2, 2}));
  guest["td_attributes"]["debug"] = true;
  EXPECT_EQ(claims("az-tdx-vtpm", guest), (std::array{3, 2, 36}));
  guest["tcb_status"] = "OutOfDate";
  EXPECT_EQ(claims("az-tdx-vtpm", guest), (std::array{3, 97, 36}));
}

// What each TEE needs for a configuration that does not warn.
const std::map<std::string, Json> kConfigured = {
    {"sample", {{"debug", false}}},
    {"snp", {{"policy_debug_allowed", false}, {"policy_migrate_ma", false}}},
    {"tdx", {{"td_attributes", {{"debug", false}}}, {"quote", {{"body", {{"xfam", "02"}}}}}}},
    {"tpm", Json::object()},
    {"az-snp-vtpm",
     {{"policy_debug_allowed", "false"},
      {"policy_migrate_ma", "false"},
      {"platform_smt_enabled", "true"},
      {"platform_tsme_enabled", "true"},
      {"policy_abi_major", "0"},
      {"policy_abi_minor", "31"},
      {"policy_single_socket", "false"},
      {"policy_smt_allowed", "true"}}},
    {"az-tdx-vtpm",
     {{"td_attributes", {{"debug", false}}}, {"quote", {{"body", {{"xfam", "02"}}}}}}}};
const Json kConfiguration = {{"xfam", {"02"}},           {"smt_enabled", {"true"}},
                             {"tsme_enabled", {"true"}}, {"abi_major", {"0"}},
                             {"abi_minor", {"31"}},      {"single_socket", {"false"}},
                             {"smt_allowed", {"true"}}};

TEST_F(DefaultPolicy, WantsInitDataThatIsBoundToBeKnown) {
  set(kConfiguration);
  const std::string zeros(96, '0');
  const std::string good = "ab" + zeros.substr(2);
  for (const auto& [tee, guest] : kConfigured) {
    SCOPED_TRACE(tee);
    const auto warns = [&](const Json& init_data) {
      init_data_ = init_data;
      return falls_short(appraise(tee, guest).vector["configuration"]);
    };
    EXPECT_FALSE(warns(zeros)) << "none is bound";
    EXPECT_FALSE(warns(zeros.substr(0, 64)));
    EXPECT_TRUE(warns(good)) << "none is registered";
    set({{"init_data", {"cd", good}}});
    EXPECT_FALSE(warns(good));
    EXPECT_TRUE(warns("ac" + zeros.substr(2)));
    EXPECT_TRUE(warns("cd" + zeros)) << "a value is no prefix";
    set({{"init_data", "ab"}});
    EXPECT_TRUE(warns(good));
    EXPECT_FALSE(warns("ab")) << "one value alone";
    // No evidence says that, but whatever is no digest is not zeros.
    EXPECT_TRUE(warns(nullptr));
    EXPECT_TRUE(warns(0));
    EXPECT_TRUE(warns(Json::array()));
    EXPECT_EQ(warns(""), tee != "sample");
    ASSERT_TRUE(values_.remove({"init_data"}, {.name = "t", .time = kNow}));
  }
}

// Evidence that lacks a claim, and a value that nobody registered: both are null.
TEST_F(DefaultPolicy, AClaimThatIsNotThereIsNoMatch) {
  Json guest = kConfigured.at("snp");
  for (const char* name : {"measurement", "reported_tcb_bootloader", "reported_tcb_microcode",
                           "reported_tcb_snp", "reported_tcb_tee"}) {
    guest[name] = nullptr;
  }
  EXPECT_EQ(claims("snp", guest), (std::array{33, 97, 3}));
  init_data_ = nullptr;
  EXPECT_EQ(claims("snp", guest), (std::array{33, 97, 36}));
  set({{"snp_launch_measurement", {nullptr, "aa"}}, {"init_data", {nullptr}}});
  EXPECT_EQ(claims("snp", guest), (std::array{33, 97, 36})) << "not even where one is registered";
}

TEST_F(DefaultPolicy, AnExtensionSaysNothingThatTheTokenSaysByItself) {
  const std::string policy = R"(package policy
import rego.v1
trust_claims := {"hardware": 97}
extensions := [
	{"name": "ear.example", "value": 1},
	{"name": "ear.example", "value": 2},
	{"name": "ear.status", "value": "affirming"},
	{"name": "ear.trustworthiness-vector", "value": {}},
	{"name": "ear.appraisal-policy-id", "value": "x"},
	{"name": "ear.veraison.annotated-evidence", "value": {}},
	{"name": "ear.coffer.emulated", "value": false},
	{"name": "iss", "value": "x"},
	{"name": 1, "value": "x"},
	"x",
])";
  ASSERT_TRUE(policies_.set_attestation_policy("default", policy));
  Appraisal appraisal = appraise("snp", Json::object());
  EXPECT_EQ(appraisal.extensions, (std::map<std::string, std::string>{{"ear.example", "1"}}));
  ASSERT_EQ(appraisal.findings.size(), 9U);
  EXPECT_EQ(appraisal.findings[0],
            "extension 'ear.example' is left out: there is one of that name already");
  EXPECT_EQ(appraisal.findings[3],
            "extension 'ear.appraisal-policy-id' is left out: the token says this by itself");
  EXPECT_EQ(appraisal.findings[6],
            "extension 'iss' is left out: want a name that begins with 'ear.'");
  // Whatever made them: the service's own words stand.
  appraisal.extensions = {{"ear.status", R"("affirming")"},
                          {"ear.appraisal-policy-id", R"("x")"},
                          {"ear.coffer.emulated", "false"}};
  TokenContent content;
  content.submodules.push_back({.name = "cpu0",
                                .policy_id = "default",
                                .appraisal = std::move(appraisal),
                                .evidence = "{}",
                                .emulated = true,
                                .unchecked = {}});
  const Json part = Json::parse(token_claims(content, {}))["submods"]["cpu0"];
  EXPECT_EQ(part["ear.status"].get<std::string>(), "contraindicated");
  EXPECT_EQ(part["ear.appraisal-policy-id"].get<std::string>(), "default");
  EXPECT_TRUE(part["ear.coffer.emulated"].get<bool>());
}

// As guest-agent/attester/binding.cc leaves PCR 8.
TEST_F(DefaultPolicy, APcr8ThatWasClosedWithNothingIsNoInitData) {
  init_data_ = to_hex(initdata::extended_pcr(initdata::digest(initdata::Algorithm::kSha256, "")));
  EXPECT_EQ(appraise("tpm", Json::object()).vector["configuration"], 0);
  EXPECT_EQ(appraise("snp", kConfigured.at("snp")).vector["configuration"], 36);
}

TEST_F(DefaultPolicy, AsksForInitDataOnlyWhereItIsBound) {
  const auto asked = [&](const Json& init_data) {
    init_data_ = init_data;
    const auto appraisal = appraise("snp", kConfigured.at("snp"));
    return std::ranges::any_of(appraisal.queries,
                               [](const Query& query) { return query.name == "init_data"; });
  };
  EXPECT_FALSE(asked(std::string(64, '0')));
  EXPECT_TRUE(asked(std::string(64, '1')));
}

TEST_F(DefaultPolicy, IsToldFromAnotherInTheStore) {
  EXPECT_EQ(policies_.default_is_built_in().value(), true);
  ASSERT_TRUE(policies_.set_attestation_policy("other", "package policy\ntrust_claims := {}"));
  EXPECT_EQ(policies_.default_is_built_in().value(), true);
  ASSERT_TRUE(policies_.set_attestation_policy("default", "package policy\ntrust_claims := {}"));
  EXPECT_EQ(policies_.default_is_built_in().value(), false);
  ASSERT_TRUE(policies_.install_defaults()) << "which leaves it alone";
  EXPECT_EQ(policies_.default_is_built_in().value(), false);
}

class Unmet : public DefaultPolicy {
 protected:
  // SNP with executables and hardware as registered.
  void SetUp() override {
    DefaultPolicy::SetUp();
    set({{"snp_launch_measurement", {"aa", "bb"}},
         {"snp_bootloader", {4}},
         {"snp_microcode", {219}},
         {"snp_snp_svn", {24}},
         {"snp_tee_svn", {0}}});
    guest_ = kConfigured.at("snp");
    guest_.update({{"measurement", "bb"},
                   {"reported_tcb_bootloader", 4},
                   {"reported_tcb_microcode", 219},
                   {"reported_tcb_snp", 24},
                   {"reported_tcb_tee", 0}});
  }
  std::vector<std::string> names() { return unmet_names(appraise("snp", guest_)); }
  std::string details() { return unmet_details(appraise("snp", guest_)); }

  Json guest_;
};

TEST_F(Unmet, IsNothingForAPartThatAffirms) {
  const auto appraisal = appraise("snp", guest_);
  EXPECT_EQ(appraisal.status, "affirming");
  EXPECT_EQ(unmet_names(appraisal), std::vector<std::string>());
  EXPECT_EQ(unmet_details(appraisal), "");
}

TEST_F(Unmet, NamesInitDataAndWhatTheEvidenceHas) {
  init_data_ = std::string(64, 'd');
  EXPECT_EQ(names(), std::vector<std::string>{"init_data (missing)"});
  EXPECT_EQ(details(), "init_data: want missing, got \"" + std::string(64, 'd') + "\"");
  set({{"init_data", {"ee", "ff"}}});
  EXPECT_EQ(names(), std::vector<std::string>{"init_data (no match)"});
  EXPECT_EQ(details(), "init_data: want [\"ee\",\"ff\"], got \"" + std::string(64, 'd') + "\"");
}

TEST_F(Unmet, NamesEveryValueOfAClaimThatFallsShortAndNoOther) {
  guest_["measurement"] = "cc";
  guest_["reported_tcb_snp"] = 23;
  ASSERT_TRUE(values_.remove({"snp_tee_svn"}, {.name = "t", .time = kNow}));
  // Not the configuration's: what it asks for in vain is for a 2, and it has a 3.
  EXPECT_EQ(names(), (std::vector<std::string>{"snp_launch_measurement (no match)",
                                               "snp_snp_svn (no match)"}));
  EXPECT_EQ(details(),
            "snp_launch_measurement: want [\"aa\",\"bb\"], got \"cc\"; "
            "snp_snp_svn: want [24], got 23");
}

TEST_F(Unmet, IsFoundInOtherPoliciesToo) {
  const std::string policy = R"(package policy
import rego.v1
default fresh := 97
fresh := 2 if {
	minimum := query_reference_value("minimum")
	input.snp.reported_tcb_snp >= minimum
	not input.snp.measurement in query_reference_value("revoked")
}
trust_claims := {"hardware": fresh})";
  ASSERT_TRUE(policies_.set_attestation_policy("default", policy));
  set({{"minimum", 25}, {"revoked", {"bb"}}});
  EXPECT_EQ(names(), std::vector<std::string>{"minimum (no match)"});
  EXPECT_EQ(details(), "minimum: want 25, got 24");
}

TEST_F(Unmet, BoundsWhatAGuestCanMakeOfIt) {
  init_data_ = std::string(10000, 'd');
  EXPECT_EQ(names(), std::vector<std::string>{"init_data (missing)"});
  EXPECT_EQ(details(), "");
}

}  // namespace
}  // namespace coffer::appraisal
