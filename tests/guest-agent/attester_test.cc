#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attestation/initdata/disk.h"
#include "attestation/initdata/gzip.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "guest-agent/attester/aa_config.h"
#include "guest-agent/attester/binding.h"
#include "guest-agent/attester/commands.h"

namespace coffer::attester {
namespace {

namespace fs = std::filesystem;

// A TEE that holds what the host gave it.
class FakeTee final : public tee::Attester {
 public:
  FakeTee(std::string name, Bytes bound) : name_(std::move(name)), bound_(std::move(bound)) {}
  [[nodiscard]] std::string_view tee() const override { return name_; }
  [[nodiscard]] Result<tee::Evidence> evidence(BytesView /*report_data*/) override {
    return fail(Code::kUnimplemented, "no evidence");
  }
  [[nodiscard]] Status extend(unsigned index, BytesView digest) override {
    extended_ = std::to_string(index) + ":" + to_hex(digest);
    return {};
  }
  [[nodiscard]] Result<Bytes> host_bound_data() override { return bound_; }
  [[nodiscard]] const std::string& extended() const { return extended_; }

 private:
  std::string name_;
  Bytes bound_;
  std::string extended_;
};

TEST(Binding, HoldsWhereTheFieldIsTheDigestCutOrPadded) {
  const Bytes digest(48, 7);
  FakeTee snp("snp", Bytes(32, 7));
  EXPECT_TRUE(check_binding(&snp, digest).value());
  Bytes padded(32, 7);
  padded.resize(48);
  FakeTee tdx("tdx", padded);
  EXPECT_TRUE(check_binding(&tdx, Bytes(32, 7)).value());
}

TEST(Binding, NamesWhatWasExpectedAndWhatWasFound) {
  FakeTee snp("snp", Bytes(32, 8));
  const auto bound = check_binding(&snp, Bytes(32, 7));
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().code(), Code::kPermissionDenied);
  for (const std::string& want : {std::string("HOST_DATA"), "expected " + to_hex(Bytes(32, 7)),
                                  "found " + to_hex(Bytes(32, 8))}) {
    EXPECT_NE(bound.error().to_string().find(want), std::string::npos) << want;
  }
}

TEST(Binding, ExtendsPcr8OfATpm) {
  FakeTee tpm("tpm", {});
  EXPECT_TRUE(check_binding(&tpm, Bytes(64, 7)).value());
  EXPECT_EQ(tpm.extended(), "8:" + to_hex(Bytes(32, 7)));
}

TEST(Binding, WithoutATeeNothingIsBound) { EXPECT_FALSE(check_binding(nullptr, {}).value()); }

TEST(Binding, NoticesInitdataThatWasKeptBack) {
  FakeTee free("snp", Bytes(32));
  EXPECT_TRUE(check_nothing_bound(&free));
  FakeTee bound("tdx", Bytes(48, 1));
  EXPECT_FALSE(check_nothing_bound(&bound));
}

// Left as it was, PCR 8 could be extended with the tenant's digest by whatever the host has run.
TEST(Binding, ClosesPcr8WhereThereIsNoInitdata) {
  FakeTee tpm("tpm", {});
  EXPECT_TRUE(check_nothing_bound(&tpm));
  EXPECT_EQ(tpm.extended(), "8:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

class InitdataCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-attester-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    settings_.tee.name = "none";
    settings_.out = fs::path(pattern) / "out";
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write_disk(std::string_view text) {
    settings_.device = folder_ / "vda";
    ASSERT_TRUE(write_file(settings_.device, as_text(initdata::make_disk(initdata::gzip(text)))));
  }

  fs::path folder_;
  InitdataSettings settings_;
};

TEST_F(InitdataCommandTest, WritesTheEntriesAndSaysWhatTheyAsk) {
  write_disk(
      "version = '0.1.0'\nalgorithm = 'sha256'\n[data]\n\"policy.rego\" = 'package x'\n"
      "\"aa.toml\" = \"[token_configs.kbs]\\nurl = 'https://k'\\n[attestation]\\nrequired = "
      "true\"\n");
  const auto summary = take_initdata(settings_);
  ASSERT_TRUE(summary) << summary.error().to_string();
  const auto json = nlohmann::json::parse(*summary);
  EXPECT_EQ(json["kbs"], "https://k");
  EXPECT_EQ(json["required"], true);
  EXPECT_EQ(json["bound"], false);
  EXPECT_EQ(read_file(settings_.out / "policy.rego").value(), "package x");
}

TEST_F(InitdataCommandTest, TakesTheBrokerOfCdhTomlAndPassesItsWarningsOn) {
  write_disk(
      "version = '0.1.0'\nalgorithm = 'sha256'\n[data]\n"
      "\"cdh.toml\" = \"[kbc]\\nurl = 'https://k'\\n[image]\\nimage_security_policy = '{}'\"\n");
  const auto summary = take_initdata(settings_);
  ASSERT_TRUE(summary) << summary.error().to_string();
  const auto json = nlohmann::json::parse(*summary);
  EXPECT_EQ(json["kbs"], "https://k");
  ASSERT_EQ(json["warnings"].size(), 1U);
  EXPECT_TRUE(fs::exists(settings_.out / "cdh.toml"));
  write_disk(
      "version = '0.1.0'\nalgorithm = 'sha256'\n[data]\n\"cdh.toml\" = \"[kbc]\\nurl = 1\"\n");
  EXPECT_NE(take_initdata(settings_).error().to_string().find("'kbc.url'"), std::string::npos);
}

TEST_F(InitdataCommandTest, WritesNothingOfADiskThatIsWrong) {
  for (const char* wrong :
       {"", "version = '1'", "version = '0.1.0'\nalgorithm = 'md5'\n[data]\n"}) {
    write_disk(wrong);
    EXPECT_FALSE(take_initdata(settings_)) << wrong;
  }
  ASSERT_TRUE(write_file(settings_.device, "initdata"));
  EXPECT_FALSE(take_initdata(settings_));
  EXPECT_FALSE(fs::exists(settings_.out));
}

TEST(AaConfig, TakesTheBrokerAndRefusesOtherTypes) {
  const auto config = parse_aa_config("[token_configs.kbs]\nurl = 'u'\ncert = 'c'\n[log]\nlevel=1");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->url, "u");
  EXPECT_EQ(config->cert, "c");
  EXPECT_FALSE(config->required);
  EXPECT_EQ(parse_aa_config("")->url, "");
  for (const char* wrong : {"[", "[token_configs.kbs]\nurl = 1", "[attestation]\nrequired = 1"}) {
    EXPECT_FALSE(parse_aa_config(wrong)) << wrong;
  }
}

TEST(AaConfig, TakesTheKeysAlgorithmAndRefusesOthersByName) {
  const auto parse = [](const std::string& algorithm) {
    return parse_aa_config("[token_configs.kbs]\ntee_key_algorithm = " + algorithm);
  };
  EXPECT_EQ(parse_aa_config("")->key_type, jose::KeyType::kEcP256);
  EXPECT_EQ(parse("'ECDH-ES+A256KW-P256'")->key_type, jose::KeyType::kEcP256);
  EXPECT_EQ(parse("'ECDH-ES+A256KW-P521'")->key_type, jose::KeyType::kEcP521);
  EXPECT_EQ(parse("'RSA-OAEP-256'")->key_type, jose::KeyType::kRsa);
  for (const char* wrong : {"'ML-KEM-768+A192KW'", "'RSA1_5'", "''", "1"}) {
    const auto config = parse(wrong);
    ASSERT_FALSE(config) << wrong;
    EXPECT_NE(config.error().message().find("tee_key_algorithm"), std::string::npos);
  }
}

}  // namespace
}  // namespace coffer::attester
