// An emulated TD against a running coffer-kbs, with collateral from a folder and no network.

#include <gtest/gtest.h>

#include <filesystem>

#include "attestation/client/kbs_client.h"
#include "attestation/evidence/evidence.h"
#include "attestation/jose/jws.h"
#include "base/fd.h"
#include "tests/attestation/fake_intel.h"
#include "tests/attestation/kbs/running_kbs.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::intel;
using testing::RunningKbs;

class TdxSource final : public client::EvidenceSource {
 public:
  [[nodiscard]] protocol::Tee tee() const override { return protocol::Tee::kTdx; }
  Result<Json> evidence(BytesView report_data) override {
    auto spec = intel().quote_spec();
    spec.td.report_data.fill(0);
    std::ranges::copy(report_data, spec.td.report_data.begin());
    COFFER_TRY(const Bytes quote, intel().quote(spec));
    return evidence::make_tdx({.tee = "tdx", .report = quote, .auxiliary = {}, .manifest = {}});
  }
};

// The folder that the configuration names.
std::string write_collateral(const std::string& folder) {
  fs::create_directories(folder);
  const auto input = intel().collateral();
  check(input.has_value(), "make collateral");
  const auto put = [&](const char* name, std::string_view content) {
    check(write_file(folder + "/" + name, content).has_value(), name);
  };
  put("root.pem", intel().root_pem());
  put("tcb_info.json", input->tcb_info);
  put("qe_identity.json", input->qe_identity);
  put("tcb_signing_chain.pem", as_text(input->tcb_signing_chain));
  put("root_ca_crl.der", as_text(input->root_ca_crl));
  put("pck_crl.der", as_text(input->pck_crl));
  put("pck_crl_issuer_chain.pem", as_text(input->pck_crl_issuer_chain));
  return "[verifier]\ntdx_roots = [\"" + folder + "/root.pem\"]\ntdx_collateral_dirs = [\"" +
         folder + "\"]\n";
}

TEST(KbsTdx, ReleasesTheSecretToAnAffirmingTd) {
  const std::string folder = ::testing::TempDir() + "/coffer-kbs-tdx";
  const auto kbs = RunningKbs::start(write_collateral(folder));
  const auto spec = intel().quote_spec();
  const Json values = {{"rtmr_1", {to_hex(spec.td.rtmr[1])}},
                       {"rtmr_2", {to_hex(spec.td.rtmr[2])}},
                       {"mr_td", {to_hex(spec.td.mr_td)}},
                       {"xfam", {to_hex(spec.td.xfam)}}};
  ASSERT_EQ(kbs->admin("POST", "/kbs/v0/reference-value", values.dump()).status, 200);
  ASSERT_EQ(kbs->admin("POST", "/kbs/v0/resource/default/key/1", "the secret").status, 200);
  TdxSource source;
  client::KbsSettings settings;
  settings.url = kbs->url();
  settings.http.tls.ca_pem = kbs->certificate();
  settings.handshake_attempts = 1;
  auto guest = client::KbsClient::make(settings, source);
  const auto secret = guest->get_resource(*protocol::parse_resource_uri("kbs:///default/key/1"));
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(as_text(secret->view()), "the secret");
  const auto token = guest->token();
  ASSERT_TRUE(token);
  const Json claims = Json::parse(jose::parse_jws(*token)->payload);
  const Json& cpu = claims["submods"]["cpu0"];
  EXPECT_EQ(cpu["ear.trustworthiness-vector"]["executables"], 4);
  EXPECT_EQ(cpu["ear.trustworthiness-vector"]["hardware"], 2);
  EXPECT_EQ(cpu["ear.trustworthiness-vector"]["configuration"], 2);
  EXPECT_EQ(cpu["ear.veraison.annotated-evidence"]["tdx"]["tcb_status"], "UpToDate");
  fs::remove_all(folder);
}

TEST(KbsTdx, WithoutItsPlatformsCollateralAQuoteIsRefusedAndSaysSo) {
  const auto kbs = RunningKbs::start();
  TdxSource source;
  client::KbsSettings settings;
  settings.url = kbs->url();
  settings.http.tls.ca_pem = kbs->certificate();
  settings.handshake_attempts = 1;
  auto guest = client::KbsClient::make(settings, source);
  ASSERT_FALSE(guest->attest());
  EXPECT_NE(guest->last_refusal()->info.detail.find("tdx_collateral_dirs"), std::string::npos)
      << guest->last_refusal()->info.detail;
}

}  // namespace
}  // namespace coffer
