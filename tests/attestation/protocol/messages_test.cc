#include "attestation/protocol/messages.h"

#include <gtest/gtest.h>

namespace coffer::protocol {
namespace {

using Json = nlohmann::json;

TEST(TeeName, IsReadAndWritten) {
  for (const char* name : {"az-snp-vtpm", "az-tdx-vtpm", "nvidia", "sgx", "snp", "tdx", "cca",
                           "csv", "se", "hygondcu", "tpm", "sample", "sampledevice"}) {
    const auto tee = parse_tee(name);
    ASSERT_TRUE(tee) << name;
    EXPECT_EQ(tee_name(*tee), name);
  }
  EXPECT_FALSE(parse_tee("azsnpvtpm"));
  EXPECT_FALSE(parse_tee("SNP"));
  EXPECT_EQ(tee_class(Tee::kTpm), "cpu");
  EXPECT_EQ(tee_class(Tee::kSampleDevice), "gpu");
}

TEST(Request, IsTheReferencesExample) {
  const std::string text =
      R"({"version":"0.4.0","tee":"snp","extra-params":{"supported-hash-algorithms":["sha256","sha384","sha512","sm3"]}})";
  const auto request = parse_request(text);
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->tee, Tee::kSnp);
  EXPECT_EQ(serialise(*request), text);
  for (const char* body : {R"({"version":"0.4.0","tee":"tdx","extra-params":""})",
                           R"({"version":"0.4.0","tee":"tdx","extra-params":{}})"}) {
    EXPECT_EQ(serialise(parse_request(body).value()), body);
  }
}

TEST(Request, OfAnotherVersionIsRefusedNamingBoth) {
  EXPECT_TRUE(check_version("0.4.0"));
  for (const char* version : {"0.3.0", "0.4.1", "0.4", ""}) {
    const auto refused = check_version(version);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().to_string().find("'0.4.0'"), std::string::npos);
    EXPECT_NE(refused.error().to_string().find(version), std::string::npos);
  }
}

TEST(Challenge, MayCarryTheHash) {
  const auto plain = parse_challenge(R"({"nonce":"AAEC","extra-params":""})");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->selected_hash().value(), Hash::kSha384);
  EXPECT_EQ(serialise(*plain), R"({"nonce":"AAEC","extra-params":""})");
  const auto chosen =
      parse_challenge(R"({"nonce":"x","extra-params":{"selected-hash-algorithm":"sha512"}})");
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->selected_hash().value(), Hash::kSha512);
  EXPECT_FALSE(parse_challenge(R"({"nonce":"x","extra-params":{"selected-hash-algorithm":"md5"}})")
                   ->selected_hash());
  EXPECT_FALSE(parse_challenge(R"({"nonce":"","extra-params":""})"));
  EXPECT_FALSE(parse_challenge(R"({"extra-params":""})"));
}

TEST(Attestation, KeepsTheProtocolsSpelling) {
  Attestation attestation;
  attestation.init_data = InitData{.format = "toml", .body = "version = \"0.1.0\"\n"};
  attestation.nonce = "AAEC";
  attestation.tee_pubkey = {{"kty", "EC"}};
  attestation.primary_evidence = {{"svn", "1"}};
  attestation.additional_evidence = R"({"sampledevice":{"svn":"2"}})";
  const std::string text = serialise(attestation);
  EXPECT_EQ(Json::parse(text),
            Json::parse(R"({"init-data":{"format":"toml","body":"version = \"0.1.0\"\n"},
                 "runtime-data":{"nonce":"AAEC","tee-pubkey":{"kty":"EC"}},
                 "tee-evidence":{"primary_evidence":{"svn":"1"},
                 "additional_evidence":"{\"sampledevice\":{\"svn\":\"2\"}}"}})"));
  const auto read = parse_attestation(text);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->init_data->body, attestation.init_data->body);
  EXPECT_EQ(read->tee_pubkey, attestation.tee_pubkey);
  EXPECT_EQ(read->primary_evidence, attestation.primary_evidence);
  const auto devices = parse_additional_evidence(read->additional_evidence);
  ASSERT_TRUE(devices);
  ASSERT_EQ(devices->size(), 1U);
  EXPECT_EQ(devices->front().tee, Tee::kSampleDevice);
  EXPECT_TRUE(parse_additional_evidence("")->empty());
  EXPECT_FALSE(parse_additional_evidence("[]"));
  EXPECT_FALSE(parse_additional_evidence(R"({"unheard-of":1})"));
}

TEST(Attestation, NeedsNoInitData) {
  for (const char* init : {"", R"("init-data":null,)"}) {
    const auto read = parse_attestation(
        std::string("{") + init +
        R"("runtime-data":{"nonce":"n","tee-pubkey":{}},"tee-evidence":{"primary_evidence":1}})");
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_FALSE(read->init_data);
    EXPECT_EQ(read->additional_evidence, "");
  }
}

struct RefusedBody {
  const char* body;
  const char* why;
};

TEST(Attestation, RefusesBodiesThatLackAPart) {
  const RefusedBody cases[] = {
      {"", "parse Attestation"},
      {"[]", "no object"},
      {"{}", "no member 'runtime-data'"},
      {R"({"runtime-data":{"nonce":1,"tee-pubkey":{}}})", "'nonce' is no string"},
      {R"({"runtime-data":{"nonce":"n"}})", "no member 'tee-pubkey'"},
      {R"({"runtime-data":{"nonce":"n","tee-pubkey":"x"}})", "'tee-pubkey' is no object"},
      {R"({"runtime-data":{"nonce":"n","tee-pubkey":{}}})", "no member 'tee-evidence'"},
      {R"({"runtime-data":{"nonce":"n","tee-pubkey":{}},"tee-evidence":{"primary-evidence":1}})",
       "no member 'primary_evidence'"},
      {R"({"init-data":{"format":"json","body":""}})", "want 'toml'"},
      {R"({"init-data":"x"})", "neither object nor null"},
      {R"({"runtime-data":{"nonce":"n","nonce":"m","tee-pubkey":{}}})", "stands twice"},
  };
  for (const auto& test : cases) {
    const auto read = parse_attestation(test.body);
    ASSERT_FALSE(read) << test.body;
    EXPECT_NE(read.error().to_string().find(test.why), std::string::npos)
        << read.error().to_string();
  }
  EXPECT_FALSE(parse_attestation(std::string(kMaxMessageBytes + 1, ' ')));
  EXPECT_FALSE(parse_attestation(std::string(40, '[')));
}

TEST(ErrorInformation, IsTrusteesFormWithOurExtensions) {
  ErrorInformation error = make_error("PolicyDeny", "Access denied by policy");
  EXPECT_EQ(serialise(error),
            R"({"type":"https://github.com/confidential-containers/kbs/errors/PolicyDeny",)"
            R"("detail":"Access denied by policy"})");
  EXPECT_EQ(error.variant(), "PolicyDeny");
  error.attestation_id = "a-1";
  error.supported_versions = {"0.4.0"};
  const auto read = parse_error(serialise(error));
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->attestation_id, "a-1");
  EXPECT_EQ(read->supported_versions, error.supported_versions);
  EXPECT_FALSE(parse_error("not found"));
  EXPECT_FALSE(parse_error(R"({"type":"x"})"));
}

TEST(Response, CarriesTheToken) {
  EXPECT_EQ(serialise(Response{.token = "a.b.c"}), R"({"token":"a.b.c"})");
  EXPECT_EQ(parse_response(R"({"token":"a.b.c"})")->token, "a.b.c");
  EXPECT_FALSE(parse_response(R"({"token":null})"));
}

}  // namespace
}  // namespace coffer::protocol
