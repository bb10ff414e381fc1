// A guest with a software TPM (swtpm) against a running coffer-kbs.

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "attestation/client/kbs_client.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "tee/emulator/tpm_pki.h"
#include "tee/tpm/device.h"
#include "tee/tpm/key.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/tee/tpm/swtpm.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::RunningKbs;

class KbsTpm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(tpm::kSwtpm)) GTEST_SKIP() << "no " << tpm::kSwtpm;
    folder_ = ::testing::TempDir() + "/coffer-kbs-tpm";
    fs::create_directories(folder_);
    auto started = tpm::Swtpm::start();
    ASSERT_TRUE(started) << started.error().to_string();
    swtpm_ = *std::move(started);
    auto tpm = tpm::Tpm::open(swtpm_->tcti());
    ASSERT_TRUE(tpm);
    key_.emplace(tpm::parse_tpm_public(tpm->create_ak().value()).value().key);
    put("root.pem", maker_.root_pem());
    put("ak.der", as_text(maker_.certify(*key_).value()));
  }
  void TearDown() override { fs::remove_all(folder_); }

  static emulator::FakeTpmMaker make_maker() {
    const auto now = static_cast<tee::UnixTime>(::time(nullptr));
    return emulator::FakeTpmMaker::make(now - 86400, now + 86400).value();
  }
  void put(const char* name, std::string_view content) const {
    check(write_file(fs::path(folder_) / name, content).has_value(), name);
  }
  // Nothing has been booted into this TPM: the PCRs of a boot are zeros.
  void start(bool with_root, Json values = {{"tpm_pcr04", {std::string(64, '0')}},
                                            {"tpm_pcr09", {std::string(64, '0')}}}) {
    kbs_ = RunningKbs::start(with_root ? "[verifier]\ntpm_roots = [\"" + folder_ + "/root.pem\"]\n"
                                       : "");
    ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-value", values.dump()).status, 200);
    ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/resource/default/key/1", "the secret").status, 200);
    tpm::DeviceSettings device;
    device.tcti = swtpm_->tcti();
    device.event_log = folder_ + "/no-log";
    device.ak_certificate = folder_ + "/ak.der";
    source_ = client::make_source(tpm::make_attester(device)).value();
    connect();
  }
  // A guest that holds no token yet.
  void connect() {
    client::KbsSettings settings;
    settings.url = kbs_->url();
    settings.http.tls.ca_pem = kbs_->certificate();
    settings.handshake_attempts = 1;
    settings.init_data = init_data_;
    guest_.emplace(client::KbsClient::make(std::move(settings), *source_).value());
  }
  Result<SecretBytes> ask() {
    for (const auto& one : list()) before_.insert(one["id"].get<std::string>());
    return guest_->get_resource(*protocol::parse_resource_uri("kbs:///default/key/1"));
  }
  Json list() { return kbs_->admin("GET", "/kbs/v0/attestations?limit=100").json(); }
  // Of the last ask(). The list has no order within a second.
  Json record() {
    for (const auto& one : list()) {
      const auto id = one["id"].get<std::string>();
      if (!before_.contains(id)) return kbs_->admin("GET", "/kbs/v0/attestations/" + id).json();
    }
    return {};
  }
  Json failed_checks() {
    Json out = Json::array();
    const Json kept = record();
    for (const auto& one : kept["checks"]) {
      if (one["ok"] == false) out.push_back(one["name"]);
    }
    return out;
  }

  std::string folder_;
  emulator::FakeTpmMaker maker_ = make_maker();
  std::unique_ptr<tpm::Swtpm> swtpm_;
  std::optional<tee::PublicKey> key_;
  std::optional<std::string> init_data_;
  std::set<std::string> before_;  // attestations
  std::unique_ptr<RunningKbs> kbs_;
  std::unique_ptr<client::EvidenceSource> source_;
  std::optional<client::KbsClient> guest_;
};

TEST_F(KbsTpm, ReleasesTheSecretToAKnownBootOfACertifiedTpm) {
  start(true);
  const auto secret = ask();
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(as_text(secret->view()), "the secret");
  const Json kept = record();
  EXPECT_EQ(kept["status"], "affirming");
  EXPECT_EQ(kept["emulated"], true);
  EXPECT_EQ(kept["claims"]["ak_certified"], true);
}

TEST_F(KbsTpm, AKeyThatNobodyVouchesForGetsNothingUnlessItIsAReferenceValue) {
  start(false);
  EXPECT_FALSE(ask());
  EXPECT_EQ(record()["parts"][0]["missing_reference_values"], Json::array({"trusted_aks"}));
  start(false, {{"tpm_pcr04", {std::string(64, '0')}},
                {"tpm_pcr09", {std::string(64, '0')}},
                {"trusted_aks", {to_base64(key_->spki())}}});
  EXPECT_TRUE(ask());
  EXPECT_EQ(record()["emulated"], false);
}

TEST_F(KbsTpm, AnotherBootGetsNothing) {
  start(true, {{"tpm_pcr04", {std::string(64, '0')}}, {"tpm_pcr09", {std::string(64, '1')}}});
  EXPECT_FALSE(ask());
  EXPECT_EQ(record()["status"], "warning");
}

// Trustee's value for a PCR 11 that nothing extended would affirm every direct boot.
TEST_F(KbsTpm, APcr11ThatNothingExtendedTellsNothing) {
  start(true, {{"tpm_pcr11", {std::string(64, '0')}}});
  EXPECT_FALSE(ask());
}

TEST_F(KbsTpm, ACertificateOfAnotherRootOrKeyIsRefusedByName) {
  put("ak.der", as_text(make_maker().certify(*key_).value()));
  start(true);
  ASSERT_FALSE(ask());
  EXPECT_EQ(failed_checks(), Json::array({"ak.certificate.chain"}));
  EXPECT_NE(guest_->last_refusal()->info.detail.find("ak.certificate.chain"), std::string::npos);
  const auto other = tee::PrivateKey::generate_rsa(2048)->public_key();
  put("ak.der", as_text(maker_.certify(other).value()));
  start(true);
  ASSERT_FALSE(ask());
  EXPECT_EQ(failed_checks(), Json::array({"ak.certificate.key"}));
}

TEST_F(KbsTpm, InitDataMustBeWhatPcr8WasExtendedWith) {
  init_data_ = "version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\n";
  start(true);
  ASSERT_FALSE(ask());
  EXPECT_EQ(failed_checks(), Json::array({"init_data"}));
  const Bytes digest = initdata::digest(initdata::Algorithm::kSha384, *init_data_);
  tpm::DeviceSettings device;
  device.tcti = swtpm_->tcti();
  ASSERT_TRUE(tpm::make_attester(device)->extend(initdata::kTpmPcrIndex,
                                                 initdata::fit(digest, initdata::kTpmPcr)));
  const auto refused = ask();
  ASSERT_FALSE(refused) << "it is bound, but not known";
  EXPECT_EQ(failed_checks(), Json::array());
  const std::string pcr = to_hex(initdata::extended_pcr(digest));
  EXPECT_EQ(
      record()["reason"].get<std::string>(),
      "init_data: want missing, got \"" + pcr + "\"; reference values not found: [\"init_data\"]");
  EXPECT_NE(refused.error().to_string().find(
                "cpu0 is warning (configuration): reference values init_data (missing)"),
            std::string::npos)
      << refused.error().to_string();
  const Json value = {{"init_data", {pcr}}};
  ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-value", value.dump()).status, 200);
  connect();
  EXPECT_TRUE(ask());
}

}  // namespace
}  // namespace coffer
