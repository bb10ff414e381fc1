// The policy that appraises unless another is set: what each TEE's part needs to be affirming.

#include <gtest/gtest.h>

#include "attestation/reference_values/message.h"
#include "attestation/service/policies.h"
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
  // executables, hardware, configuration.
  std::array<int, 3> claims(const std::string& tee, const Json& of) {
    const Json input = {{tee, of},
                        {"report_data", ""},
                        {"init_data", ""},
                        {"runtime_data_claims", nullptr},
                        {"init_data_claims", nullptr}};
    const auto appraisal = policies_.appraise("default", "cpu", input, kNow);
    EXPECT_TRUE(appraisal) << appraisal.error().to_string();
    if (!appraisal) return {};
    const Json& vector = appraisal->vector;
    return {vector["executables"], vector["hardware"], vector["configuration"]};
  }

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

}  // namespace
}  // namespace coffer::appraisal
