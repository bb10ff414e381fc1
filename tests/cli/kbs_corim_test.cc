#include "cli/kbs_corim.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"
#include "attestation/reference_values/message.h"
#include "base/fd.h"

namespace coffer::cli {
namespace {

class PackReferenceValues : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "coffer-corim-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    ASSERT_TRUE(write_file(folder_ + "/values.json", R"({"mr_td": ["aabb"], "svn": 3})"));
    ASSERT_TRUE(write_file(folder_ + "/key.pem", *key_.to_pem()));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  // The exit code and what was said on stderr.
  std::pair<int, std::string> pack(std::vector<std::string> more) {
    std::vector<std::string> args = {folder_ + "/values.json", "--output", folder_ + "/out"};
    std::ranges::move(more, std::back_inserter(args));
    ::testing::internal::CaptureStderr();
    const int exit = kbs_pack_reference_values().run(args);
    return {exit, ::testing::internal::GetCapturedStderr()};
  }
  Result<std::vector<rv::ReferenceValue>> read(const rv::Signers& signers) {
    const auto bytes = read_file(folder_ + "/out");
    return rv::parse_message(as_bytes(*bytes),
                             {.now = ::time(nullptr), .registrar = "r", .signers = signers});
  }

  std::string folder_;
  jose::PrivateKey key_ = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
};

TEST_F(PackReferenceValues, WritesWhatTheServiceReads) {
  ASSERT_EQ(
      pack({"--corim-key", folder_ + "/key.pem", "--corim-id", "image 7", "--valid-days", "2"})
          .first,
      kExitOk);
  const auto values = read({.keys = {key_.public_key()}, .required = true});
  ASSERT_TRUE(values) << values.error().to_string();
  ASSERT_EQ(values->size(), 2U);
  EXPECT_EQ(values->front().value, R"(["aabb"])");
  EXPECT_EQ(values->front().provenance.source, "image 7");
  EXPECT_EQ(values->front().provenance.signer, *jose::jwk_thumbprint(key_.public_key()));
  EXPECT_EQ(values->front().expires - values->front().not_before, 2 * 86400 + 1);
}

TEST_F(PackReferenceValues, WithoutAKeyItIsNotSigned) {
  ASSERT_EQ(pack({}).first, kExitOk);
  const auto values = read({});
  ASSERT_TRUE(values) << values.error().to_string();
  EXPECT_EQ(values->front().provenance.signer, "");
  EXPECT_TRUE(values->front().provenance.source.starts_with("coffer:"));
}

TEST_F(PackReferenceValues, SaysWhatIsWrong) {
  EXPECT_NE(pack({"--valid-days", "0"}).second.find("--valid-days"), std::string::npos);
  EXPECT_NE(pack({"--corim-key", folder_ + "/values.json"}).second.find("values.json"),
            std::string::npos);
  ASSERT_TRUE(write_file(folder_ + "/values.json", R"({"smt": true})"));
  EXPECT_NE(pack({}).second.find("'smt'"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/out"));
}

}  // namespace
}  // namespace coffer::cli
