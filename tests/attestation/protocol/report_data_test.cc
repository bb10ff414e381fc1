#include "attestation/protocol/report_data.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coffer::protocol {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kNonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

Json tee_pubkey() {
  return {{"kty", "EC"},
          {"crv", "P-256"},
          {"alg", "ECDH-ES+A256KW"},
          {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
          {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}};
}

TEST(ReportData, OfADeviceIsTheReferencesExample) {
  const auto digest = device_report_data(kNonce, tee_pubkey());
  ASSERT_TRUE(digest);
  EXPECT_EQ(to_hex(*digest),
            "cc12bca78af3e46d9ddb68eb97122047abb52703f1cec34bd0adc12c5ac8c860b1ada6c8729e54f217290"
            "8b77572364a");
}

TEST(ReportData, OfThePrimaryTeeBindsAdditionalEvidenceEvenWhenThereIsNone) {
  const auto digest = primary_report_data(kNonce, tee_pubkey(), "");
  ASSERT_TRUE(digest);
  EXPECT_EQ(to_hex(*digest),
            "dfa65d498315212bdaf8857231cf0482172933db271f15856bf30db447227eb5b1dd9e29fcc1fb9076fb0"
            "0792c3bb7e7");
  EXPECT_NE(primary_report_data(kNonce, tee_pubkey(), "{}").value(), *digest);
  EXPECT_EQ(primary_report_data(kNonce, tee_pubkey(), "", Hash::kSha256).value().size(), 32U);
}

TEST(ReportData, OfStructuredDataIsTheReferencesExample) {
  const auto digest = structured_report_data({{"b", 1}, {"a", "test"}, {"c", {{"d", "e"}}}});
  ASSERT_TRUE(digest);
  EXPECT_EQ(to_hex(*digest),
            "e71ce8e70d814ba6639c3612ebee0ff1f76f650f8dbb5e47157e0f3f525cd22c4597480a186427c813ca9"
            "41da78870c3");
}

TEST(HashName, IsReadAndWritten) {
  for (const char* name : {"sha256", "sha384", "sha512"}) {
    EXPECT_EQ(hash_name(parse_hash(name).value()), name);
  }
  EXPECT_EQ(parse_hash("sm3").error().code(), Code::kUnimplemented);
  EXPECT_FALSE(parse_hash("SHA-384"));
}

}  // namespace
}  // namespace coffer::protocol
