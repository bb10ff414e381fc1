// Real evidence of Azure's confidential VMs, and what is changed in it. Without the vectors' folder
// the tests are skipped, by name.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attestation/service/evidence_verifier.h"
#include "base/fd.h"
#include "tee/utc_time.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kVectors = COFFER_VECTORS "/snp/";

Bytes vector(const std::string& name) {
  const auto text = read_file(std::string(kVectors) + name);
  check(text.has_value(), "read vector " + name);
  return to_bytes(*text);
}

class AzureSnp : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(kVectors) + "azure-vtpm")) {
      GTEST_SKIP() << "no vectors at " << kVectors;
    }
    use("v2", 2);
  }
  void use(const std::string& name, int version) {
    const std::string stem = "azure-vtpm/azure_milan_" + name;
    const Json pcrs = Json::parse(as_text(vector(stem + "_pcrs.json")))["pcrs"];
    // As the attester writes versions 1 and 2.
    json_ = {{"version", version},
             {"tpm_quote",
              {{"signature", to_hex(vector(stem + "_tpm_sig.bin"))},
               {"message", to_hex(vector(stem + "_tpm_attest.bin"))},
               {"pcrs", pcrs}}},
             {"hcl_report", padded_base64url(vector(stem + "_hcl_report.bin"))},
             {"vcek", padded_base64url(vector("certs/azure_milan_" + name + "_hwreport.der"))}};
  }
  static std::string padded_base64url(BytesView bytes) {
    std::string out = to_base64url(bytes);
    while (out.size() % 4 != 0) out += '=';
    return out;
  }
  Result<Verified> verify() {
    return EvidenceVerifier(TrustConfig{})
        .verify({.tee = protocol::Tee::kAzSnpVtpm,
                 .evidence = json_,
                 .report_data = bound_,
                 .init_data_digest = init_data_},
                *tee::parse_rfc3339("2025-02-27T16:33:43Z"));
  }
  // The names of the checks that failed.
  std::vector<std::string> failed() {
    const auto verified = verify();
    EXPECT_TRUE(verified) << verified.error().to_string();
    std::vector<std::string> out;
    for (const auto& check : verified->verdict.failed()) out.push_back(check.name);
    return out;
  }
  void flip(const char* key, std::size_t at) {
    std::string text = json_[key];
    while (text.ends_with('=')) text.pop_back();
    Bytes bytes = *from_base64url(text);
    bytes.at(at) ^= 1U;
    json_[key] = padded_base64url(bytes);
  }

  Json json_;
  std::optional<Bytes> bound_ = *from_hex(
      "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f8"
      "19ef");
  std::optional<Bytes> init_data_;
};

TEST_F(AzureSnp, VerifiesARealGuest) {
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().to_string();
  EXPECT_TRUE(verified->verdict.verified()) << verified->verdict.to_table();
  EXPECT_FALSE(verified->verdict.emulated());
  const Json& claims = verified->claims;
  EXPECT_EQ(claims["policy_debug_allowed"], "false");
  EXPECT_EQ(claims["reported_tcb_microcode"], "219");
  EXPECT_EQ(
      claims["measurement"],
      to_base64(*from_hex("5b0ce64ad1c1f6375dbda5f760b98526ca1bcf91b8195091afc28e7b024251d68fe"
                          "32e05af34048d6607678cd23283ff")));
  EXPECT_FALSE(claims.contains("chip_id"));
  EXPECT_EQ(claims["tpm"]["pcr00"],
            "84275b2f4312cd4fc6cbe6b152ad3c3683e513d9f1e23c34fca160c8cca7a6a7");
  EXPECT_EQ(claims["tpm"].size(), 24U);
  EXPECT_EQ(verified->report_data, to_hex(*bound_));
  EXPECT_EQ(verified->init_data, claims["tpm"]["pcr08"].get<std::string>());
}

TEST_F(AzureSnp, AnOlderAttesterBindsByTheQuoteAlone) {
  use("v0", 1);
  bound_ = to_bytes("challenge");
  EXPECT_EQ(failed(), std::vector<std::string>());
}

TEST_F(AzureSnp, NamesWhatWasChanged) {
  using Names = std::vector<std::string>;
  const auto contains = [](const Names& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  bound_->front() ^= 1U;
  const auto nonce = failed();
  EXPECT_EQ(nonce.size(), 2U);
  EXPECT_TRUE(contains(nonce, "hcl.user_data"));
  bound_->front() ^= 1U;
  // A byte of the measurement: the hardware's signature.
  flip("hcl_report", 32 + 0x90);
  EXPECT_FALSE(failed().empty());
  flip("hcl_report", 32 + 0x90);
  // A byte of the user data in what the hardware vouches for.
  const std::string text = json_["hcl_report"];
  const std::size_t user_data =
      as_text(vector("azure-vtpm/azure_milan_v2_hcl_report.bin")).find("982F");
  ASSERT_NE(user_data, std::string_view::npos);
  flip("hcl_report", user_data);
  const auto bound = failed();
  EXPECT_TRUE(contains(bound, "expect.report_data")) << bound.size();
  json_["hcl_report"] = text;
  json_["tpm_quote"]["pcrs"][0] = std::string(64, '0');
  EXPECT_FALSE(failed().empty());
}

TEST_F(AzureSnp, InitDataIsPcr8sAndOfSha256) {
  init_data_ = Bytes(32, 1);
  EXPECT_EQ(failed(), std::vector<std::string>{"init_data"});
  init_data_ = Bytes(48, 1);
  const auto verified = verify();
  ASSERT_FALSE(verified);
  EXPECT_NE(verified.error().message().find("sha256"), std::string::npos);
}

TEST_F(AzureSnp, WithoutRuntimeDataNothingIsVerified) {
  bound_.reset();
  EXPECT_EQ(verify().error().code(), Code::kInvalidArgument);
}

constexpr std::string_view kTdxVectors = COFFER_VECTORS "/tdx/";

class AzureTdx : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(kTdxVectors) + "azure-vtpm")) {
      GTEST_SKIP() << "no vectors at " << kTdxVectors;
    }
    const Json pcrs = Json::parse(as_text(bytes("azure-vtpm/azure_td_pcrs.json")))["pcrs"];
    json_ = {{"version", 1},
             {"tpm_quote",
              {{"signature", to_hex(bytes("azure-vtpm/azure_td_tpm_sig.bin"))},
               {"message", to_hex(bytes("azure-vtpm/azure_td_tpm_attest.bin"))},
               {"pcrs", pcrs}}},
             {"hcl_report", to_base64url(bytes("azure-vtpm/azure_td_hcl_report.bin"))},
             {"td_quote", to_base64url(bytes("quotes/v4_azure_trustee.dat"))}};
  }
  static Bytes bytes(const std::string& name) {
    const auto text = read_file(std::string(kTdxVectors) + name);
    check(text.has_value(), "read vector " + name);
    return to_bytes(*text);
  }
  // With Intel's collateral of that month.
  Result<Verified> verify() {
    const std::string folder = "collateral/00806f_2025_07/";
    tdx::CollateralInput input;
    input.tcb_info = as_text(bytes(folder + "tcb_info.json"));
    input.qe_identity = as_text(bytes(folder + "qe_identity.json"));
    input.tcb_signing_chain = bytes(folder + "tcb_signing_chain.pem");
    input.root_ca_crl = bytes(folder + "root_ca_crl.der");
    input.pck_crl = bytes(folder + "pck_crl.der");
    input.pck_crl_issuer_chain = bytes(folder + "pck_crl_issuer_chain.pem");
    TrustConfig trust;
    trust.tdx.emplace("00806f050000", tdx::CollateralSet::prepare(std::move(input), {}));
    return EvidenceVerifier(std::move(trust))
        .verify({.tee = protocol::Tee::kAzTdxVtpm, .evidence = json_, .report_data = bound_},
                *tee::parse_rfc3339("2025-07-20T00:00:00Z"));
  }
  std::vector<std::string> failed() {
    const auto verified = verify();
    EXPECT_TRUE(verified) << verified.error().to_string();
    std::vector<std::string> out;
    for (const auto& check : verified->verdict.failed()) out.push_back(check.name);
    return out;
  }

  Json json_;
  std::optional<Bytes> bound_ = to_bytes("challenge");
};

TEST_F(AzureTdx, VerifiesARealGuest) {
  const auto verified = verify();
  ASSERT_TRUE(verified) << verified.error().to_string();
  EXPECT_TRUE(verified->verdict.verified()) << verified->verdict.to_table();
  const Json& claims = verified->claims;
  EXPECT_EQ(claims["tpm"]["pcr00"],
            "782b20b10f55cc46e2142cc2145d548698073e5beb82752c8d7f9279f0d8a273");
  EXPECT_EQ(claims["quote"]["header"]["tee_type"], "81000000");
  EXPECT_EQ(claims["quote"]["body"]["xfam"], "e718060000000000");
  EXPECT_EQ(verified->report_data, to_hex(to_bytes("challenge")));
}

TEST_F(AzureTdx, NamesWhatWasChanged) {
  bound_ = to_bytes("another");
  EXPECT_EQ(failed().size(), 1U);
  bound_ = to_bytes("challenge");
  // The TDREPORT of another guest beside this quote.
  Bytes report = bytes("azure-vtpm/azure_td_hcl_report.bin");
  report.at(32 + 128) ^= 1U;
  json_["hcl_report"] = to_base64url(report);
  EXPECT_EQ(failed(), std::vector<std::string>{"hcl.td_report"});
}

TEST_F(AzureTdx, SnpsEvidenceIsNotTdxs) {
  json_["hcl_report"] = to_base64url(vector("azure-vtpm/azure_milan_v0_hcl_report.bin"));
  const auto verified = verify();
  ASSERT_FALSE(verified);
  EXPECT_NE(verified.error().message().find("another TEE"), std::string::npos);
}

}  // namespace
}  // namespace coffer::appraisal
