#include "cli/initdata.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attestation/initdata/initdata.h"
#include "attestation/reference_values/message.h"
#include "base/fd.h"

namespace coffer::cli {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kText =
    "version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\na = \"1\"\n";
constexpr std::string_view kOther = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n";

class InitdataDigest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "coffer-initdata-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    ASSERT_TRUE(write_file(folder_ + "/a.toml", kText));
    ASSERT_TRUE(write_file(folder_ + "/b.toml", kOther));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  // What it printed; its exit code is `exit`.
  std::string digest(std::vector<std::string> args, int exit = kExitOk) {
    const auto commands = initdata_commands();
    const auto command = std::ranges::find(commands, "initdata digest", &Command::name);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(command->run(args), exit);
    said_ = ::testing::internal::GetCapturedStderr();
    return ::testing::internal::GetCapturedStdout();
  }
  static std::vector<rv::ReferenceValue> read(const std::string& message) {
    const auto values =
        rv::parse_message(as_bytes(message), {.now = ::time(nullptr), .registrar = "r"});
    EXPECT_TRUE(values) << values.error().to_string();
    return values ? *values : std::vector<rv::ReferenceValue>();
  }
  static Json bound(initdata::Algorithm algorithm, std::string_view text) {
    Json out = Json::array();
    for (const auto& value : initdata::bound_values(initdata::digest(algorithm, text))) {
      out.push_back(to_hex(value));
    }
    return out;
  }

  std::string folder_, said_;
};

TEST_F(InitdataDigest, IsAReferenceValueThatABrokerReads) {
  const auto values = read(digest({folder_ + "/a.toml", "--output-format", "reference-values"}));
  ASSERT_EQ(values.size(), 1U);
  EXPECT_EQ(values[0].name, "init_data");
  EXPECT_EQ(Json::parse(values[0].value), bound(initdata::Algorithm::kSha384, kText));
  const std::string hex = to_hex(initdata::digest(initdata::Algorithm::kSha384, kText));
  EXPECT_EQ(values[0].provenance.source,
            "coffer initdata digest " + folder_ + "/a.toml (sha384:" + hex + ")");
}

TEST_F(InitdataDigest, OfSeveralFilesIsOneValueWithEachOnce) {
  const auto values = read(digest({folder_ + "/a.toml", folder_ + "/b.toml", folder_ + "/a.toml",
                                   "--output-format", "reference-values"}));
  ASSERT_EQ(values.size(), 1U);
  Json want = bound(initdata::Algorithm::kSha384, kText);
  for (const auto& one : bound(initdata::Algorithm::kSha256, kOther)) want.push_back(one);
  EXPECT_EQ(Json::parse(values[0].value), want);
}

TEST_F(InitdataDigest, IsOfOneTeeWhenThatIsAskedFor) {
  const Bytes sha384 = initdata::digest(initdata::Algorithm::kSha384, kText);
  const auto of = [&](const char* tee) {
    const auto values =
        read(digest({folder_ + "/a.toml", "--tee", tee, "--output-format", "reference-values"}));
    return values.empty() ? Json() : Json::parse(values[0].value);
  };
  EXPECT_EQ(of("snp"), Json::array({to_hex(initdata::fit(sha384, 32))}));
  EXPECT_EQ(of("tdx"), Json::array({to_hex(sha384)}));
  EXPECT_EQ(of("tpm"), Json::array({to_hex(initdata::extended_pcr(sha384))}));
  digest({folder_ + "/a.toml", "--tee", "sgx", "--output-format", "reference-values"}, kExitError);
  EXPECT_NE(said_.find("'sgx'"), std::string::npos) << said_;
}

TEST_F(InitdataDigest, GoesIntoACorim) {
  const auto values = read(digest({folder_ + "/a.toml", "--output-format", "corim"}));
  ASSERT_EQ(values.size(), 1U);
  EXPECT_EQ(values[0].name, "init_data");
  EXPECT_EQ(Json::parse(values[0].value), bound(initdata::Algorithm::kSha384, kText));
}

TEST_F(InitdataDigest, StaysHexOfOneFileOtherwise) {
  EXPECT_EQ(digest({folder_ + "/a.toml"}),
            to_hex(initdata::digest(initdata::Algorithm::kSha384, kText)) + "\n");
  digest({folder_ + "/a.toml", folder_ + "/b.toml"}, kExitError);
  EXPECT_NE(said_.find("one file"), std::string::npos) << said_;
  digest({folder_ + "/a.toml", "--output-format", "yaml"}, kExitError);
  EXPECT_NE(said_.find("'yaml'"), std::string::npos) << said_;
  digest({"--output-format", "reference-values"}, kExitError);
  EXPECT_NE(said_.find("want files"), std::string::npos) << said_;
}

}  // namespace
}  // namespace coffer::cli
