// The worked examples of docs/attestation/policies.md, applied to a guest.

#include <gtest/gtest.h>

#include "attestation/client/kbs_client.h"
#include "base/fd.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"

namespace coffer {
namespace {

using testing::RunningKbs;
using testing::SnpSource;

// The block whose first line is "# KIND: NAME"; empty when there is none.
std::string example(const std::string& head) {
  const auto text = read_file(COFFER_SOURCE_DIR "/docs/attestation/policies.md");
  check(text.has_value(), "read the page");
  const auto begin = text->find("```rego\n# " + head + "\n");
  if (begin == std::string::npos) return {};
  const auto body = text->find('\n', begin) + 1;
  return text->substr(body, text->find("```", body) - body);
}

class DocsPolicies : public ::testing::Test {
 protected:
  void SetUp() override {
    kbs_ = RunningKbs::start(testing::trust());
    ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-value", testing::good_values().dump()).status,
              200);
    for (const char* path : {"team-a/key/1", "team-b/key/1"}) {
      ASSERT_EQ(kbs_->admin("POST", std::string("/kbs/v0/resource/") + path, "secret").status, 200);
    }
  }
  void set_resource_policy(const std::string& name) {
    const auto reply = kbs_->set_resource_policy(example("resource: " + name));
    ASSERT_EQ(reply.status, 200) << reply.body;
  }
  void set_appraisal(const std::string& name) {
    const nlohmann::json policy = {
        {"type", "rego"},
        {"policy_id", "default"},
        {"policy", to_base64url(as_bytes(example("attestation: " + name)))}};
    const auto reply = kbs_->admin("POST", "/kbs/v0/attestation-policy", policy.dump());
    ASSERT_EQ(reply.status, 200) << reply.body;
  }
  // What a fresh guest is told when it asks for this path.
  Code ask(const std::string& path = "team-a/key/1") {
    client::KbsSettings settings;
    settings.url = kbs_->url();
    settings.http.tls.ca_pem = kbs_->certificate();
    settings.init_data = init_data_;
    settings.handshake_attempts = 1;
    settings.resource_attempts = 1;
    auto guest = client::KbsClient::make(settings, source_);
    const auto secret = guest->get_resource(*protocol::parse_resource_uri("kbs:///" + path));
    return secret ? Code::kOk : secret.error().code();
  }

  std::unique_ptr<RunningKbs> kbs_;
  SnpSource source_;
  std::optional<std::string> init_data_;
};

TEST_F(DocsPolicies, ALiteralMeasurementDecides) {
  set_appraisal("literal");
  EXPECT_EQ(ask(), Code::kOk);
  source_.change = [](snp::Report& report) { report.measurement.fill(0xab); };
  EXPECT_EQ(ask(), Code::kPermissionDenied);
  source_.change = [](snp::Report& report) { report.policy.raw |= 1ULL << 19U; };
  EXPECT_EQ(ask(), Code::kPermissionDenied) << "debugging";
}

TEST_F(DocsPolicies, FirmwareAsNewAsTheMinimumAffirms) {
  set_appraisal("minimum firmware");
  EXPECT_EQ(ask(), Code::kPermissionDenied) << "no minimum is registered";
  const auto& tcb = testing::amd().spec().platform.tcb;
  const auto minimum = [&](int snp) {
    const nlohmann::json values = {{"minimum_snp_svn", snp}, {"minimum_microcode", tcb.microcode}};
    return kbs_->admin("POST", "/kbs/v0/reference-value", values.dump()).status;
  };
  ASSERT_EQ(minimum(tcb.snp), 200);
  EXPECT_EQ(ask(), Code::kOk);
  ASSERT_EQ(minimum(tcb.snp + 1), 200);
  EXPECT_EQ(ask(), Code::kPermissionDenied);
}

TEST_F(DocsPolicies, EachTenantReadsItsRepository) {
  set_resource_policy("a repository for each tenant");
  EXPECT_EQ(ask(), Code::kPermissionDenied) << "no tenant";
  init_data_ = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\ntenant = \"team-a\"\n";
  source_.change = [&](snp::Report& report) {
    std::ranges::copy(tee::sha256(as_bytes(*init_data_)), report.host_data.begin());
  };
  EXPECT_EQ(ask("team-a/key/1"), Code::kPermissionDenied) << "a tenant that anybody may claim";
  const nlohmann::json known = {{"init_data", {to_hex(tee::sha256(as_bytes(*init_data_)))}}};
  ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-value", known.dump()).status, 200);
  EXPECT_EQ(ask("team-a/key/1"), Code::kOk);
  EXPECT_EQ(ask("team-b/key/1"), Code::kPermissionDenied);
}

TEST_F(DocsPolicies, AnEmulatedGuestIsNoHardware) {
  EXPECT_EQ(ask(), Code::kOk);
  set_resource_policy("hardware only");
  EXPECT_EQ(ask(), Code::kPermissionDenied);
}

TEST_F(DocsPolicies, TrusteesDefaultDoesNotLookAtTheStatus) {
  source_.change = [](snp::Report& report) { report.measurement.fill(0xab); };
  EXPECT_EQ(ask(), Code::kPermissionDenied);
  set_resource_policy("any evidence that verifies");
  EXPECT_EQ(ask(), Code::kOk);
}

}  // namespace
}  // namespace coffer
