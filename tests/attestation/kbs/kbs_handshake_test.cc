// Guests against a running coffer-kbs: emulated SNP evidence through the client that the agent has,
// and what must end without a secret.

#include <gtest/gtest.h>

#include <fstream>

#include "attestation/client/kbs_client.h"
#include "attestation/evidence/evidence.h"
#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/protocol/messages.h"
#include "tee/emulator/snp_pki.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"

namespace coffer {
namespace {

using testing::amd;
using testing::good_values;
using testing::RunningKbs;
using testing::SnpSource;
using testing::trust;
using Json = nlohmann::json;

class Handshake : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { kbs_ = RunningKbs::start(trust()).release(); }
  static void TearDownTestSuite() {
    delete kbs_;
    kbs_ = nullptr;
  }
  void SetUp() override {
    ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-value", good_values().dump()).status, 200);
    ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/resource/default/key/1", "the secret").status, 200);
  }
  client::KbsClient make(SnpSource& source, client::Mode mode = client::Mode::kCookie,
                         jose::KeyType type = jose::KeyType::kEcP256) {
    client::KbsSettings settings;
    settings.url = kbs_->url();
    settings.http.tls.ca_pem = kbs_->certificate();
    settings.mode = mode;
    settings.key_type = type;
    settings.init_data = init_data_;
    settings.handshake_attempts = 1;
    settings.resource_attempts = 1;
    auto client = client::KbsClient::make(std::move(settings), source);
    check(client.has_value(), "make a client");
    return *std::move(client);
  }
  static protocol::ResourceUri uri(const std::string& path = "default/key/1") {
    return *protocol::parse_resource_uri("kbs:///" + path);
  }
  Json record(const std::string& id) {
    return kbs_->admin("GET", "/kbs/v0/attestations/" + id).json();
  }

  static RunningKbs* kbs_;
  std::optional<std::string> init_data_;
  SnpSource source_;
};
RunningKbs* Handshake::kbs_ = nullptr;

TEST_F(Handshake, ReleasesTheSecretToAnAffirmingGuest) {
  for (const auto mode : {client::Mode::kCookie, client::Mode::kBearer}) {
    for (const auto type : {jose::KeyType::kEcP256, jose::KeyType::kEcP521, jose::KeyType::kRsa}) {
      auto guest = make(source_, mode, type);
      const auto secret = guest.get_resource(uri());
      ASSERT_TRUE(secret) << secret.error().to_string();
      EXPECT_EQ(as_text(secret->view()), "the secret");
    }
  }
}

TEST_F(Handshake, TheTokenSaysWhatTrusteesDoes) {
  auto guest = make(source_);
  const auto token = guest.attest();
  ASSERT_TRUE(token) << token.error().to_string();
  const auto jws = jose::parse_jws(*token);
  ASSERT_TRUE(jws);
  const Json claims = Json::parse(jws->payload);
  EXPECT_EQ(claims["eat_profile"], "tag:github.com,2024:confidential-containers/Trustee");
  EXPECT_EQ(claims["exp"].get<int>() - claims["iat"].get<int>(), 300);
  const Json& cpu = claims["submods"]["cpu0"];
  EXPECT_EQ(cpu["ear.status"], "affirming");
  EXPECT_EQ(cpu["ear.appraisal-policy-id"], "default");
  EXPECT_EQ(cpu["ear.trustworthiness-vector"]["hardware"], 2);
  EXPECT_EQ(cpu["ear.trustworthiness-vector"]["executables"], 3);
  EXPECT_EQ(cpu["ear.trustworthiness-vector"]["configuration"], 3);
  EXPECT_EQ(cpu["ear.trustworthiness-vector"].size(), 8U);
  EXPECT_EQ(cpu["ear.coffer.emulated"], true);
  const Json& evidence = cpu["ear.veraison.annotated-evidence"];
  EXPECT_EQ(evidence["snp"]["measurement"], to_hex(Bytes(48, 0xaa)));
  EXPECT_EQ(evidence["snp"]["policy_debug_allowed"], false);
  EXPECT_TRUE(evidence["runtime_data_claims"].contains("tee-pubkey"));
  // Signed by the published key.
  const auto jwks = kbs_->anyone("GET", "/.well-known/jwks.json").json();
  const auto key = jose::parse_jwk(jwks["keys"][0]);
  ASSERT_TRUE(key);
  EXPECT_TRUE(jose::verify_jws(*jws, key->key));
  EXPECT_EQ(jws->kid, key->kid);
  EXPECT_EQ(jws->kid, *jose::jwk_thumbprint(key->key));
}

TEST_F(Handshake, AbsentResourcesAre404AndFinal) {
  auto guest = make(source_);
  const auto secret = guest.get_resource(uri("default/key/none"));
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code(), Code::kNotFound);
}

TEST_F(Handshake, EvidenceThatBindsAnotherNonceIsRefusedByName) {
  source_.other_nonce = true;
  auto guest = make(source_);
  const auto token = guest.attest();
  ASSERT_FALSE(token);
  ASSERT_TRUE(guest.last_refusal());
  const auto& info = guest.last_refusal()->info;
  EXPECT_EQ(guest.last_refusal()->status, 401);
  EXPECT_NE(info.detail.find("expect.report_data"), std::string::npos) << info.detail;
  const Json kept = record(info.attestation_id);
  EXPECT_EQ(kept["outcome"], "refused");
  EXPECT_EQ(kept["reason"], "failed checks: expect.report_data");
  for (const auto& entry : kept["checks"]) {
    if (entry["name"] == "expect.report_data") {
      EXPECT_NE(entry["expected"], entry["found"]);
    }
  }
}

TEST_F(Handshake, AMissingReferenceValueIsNamedAndNothingIsReleased) {
  ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-values/delete",
                        R"({"names": ["snp_launch_measurement"]})")
                .status,
            200);
  auto guest = make(source_);
  const auto secret = guest.get_resource(uri());
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code(), Code::kPermissionDenied) << secret.error().to_string();
  const auto& info = guest.last_refusal()->info;
  EXPECT_EQ(info.variant(), "PolicyDeny");
  EXPECT_NE(info.detail.find("cpu0 is warning (executables)"), std::string::npos) << info.detail;
  const Json kept = record(info.attestation_id);
  // Without snp_smt_enabled the configuration is 3, which affirms too.
  EXPECT_EQ(kept["parts"][0]["missing_reference_values"],
            Json::array({"snp_launch_measurement", "snp_smt_enabled"}));
  ASSERT_EQ(kept["resources"].size(), 1U);
  EXPECT_EQ(kept["resources"][0]["allowed"], false);
  EXPECT_FALSE(kept["resources"][0]["reason"].get<std::string>().empty());
}

TEST_F(Handshake, AnExpiredReferenceValueIsNamedAsExpired) {
  ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/reference-values/expire", R"({"names": ["snp_snp_svn"]})")
                .status,
            200);
  auto guest = make(source_);
  EXPECT_FALSE(guest.get_resource(uri()));
  const Json kept = record(guest.last_refusal()->info.attestation_id);
  EXPECT_EQ(kept["parts"][0]["missing_reference_values"],
            Json::array({"snp_snp_svn (expired)", "snp_smt_enabled"}));
  EXPECT_EQ(kept["status"], "contraindicated");
}

TEST_F(Handshake, AnotherMeasurementAndDebuggingGetNothing) {
  source_.change = [](snp::Report& report) { report.measurement.fill(0xab); };
  EXPECT_FALSE(make(source_).get_resource(uri()));
  source_.change = [](snp::Report& report) { report.policy.raw |= 1ULL << 19U; };
  auto guest = make(source_);
  EXPECT_FALSE(guest.get_resource(uri()));
  EXPECT_NE(guest.last_refusal()->info.detail.find("warning"), std::string::npos);
}

TEST_F(Handshake, WhereItIsRequiredAGuestThatIsNotAffirmedGetsNoToken) {
  const auto strict =
      RunningKbs::start(trust() + "[attestation_service]\nrequire_affirming = true\n");
  Json values = good_values();
  values.erase("snp_snp_svn");
  values["snp_launch_measurement"] = {to_hex(Bytes(48, 0xab))};
  ASSERT_EQ(strict->admin("POST", "/kbs/v0/reference-value", values.dump()).status, 200);
  client::KbsSettings settings;
  settings.url = strict->url();
  settings.http.tls.ca_pem = strict->certificate();
  settings.handshake_attempts = 3;
  auto guest = client::KbsClient::make(settings, source_);
  const auto token = guest->attest();
  ASSERT_FALSE(token);
  EXPECT_NE(token.error().to_string().find(
                "cpu0 is contraindicated (executables, hardware): reference values "
                "snp_launch_measurement (no match), snp_snp_svn (missing)"),
            std::string::npos)
      << token.error().to_string();
  const auto list = strict->admin("GET", "/kbs/v0/attestations").json();
  ASSERT_EQ(list.size(), 1U) << "a refusal is final";
  EXPECT_EQ(list[0]["outcome"], "refused");
  EXPECT_NE(list[0]["reason"].get<std::string>().find("snp_snp_svn"), std::string::npos);
  ASSERT_EQ(strict->admin("POST", "/kbs/v0/reference-value", good_values().dump()).status, 200);
  EXPECT_TRUE(guest->attest());
}

TEST_F(Handshake, AResourcePolicyDecides) {
  const auto policy = [&](const std::string& rule) {
    return kbs_->set_resource_policy("package policy\nimport rego.v1\ndefault allow := false\n" +
                                     rule);
  };
  const auto before = kbs_->admin("GET", "/kbs/v0/resource-policy/resource-policy").body;
  ASSERT_EQ(policy("allow if data[\"resource-path\"][2] == \"2\"").status, 200);
  auto guest = make(source_);
  EXPECT_EQ(guest.get_resource(uri()).error().code(), Code::kPermissionDenied);
  ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/resource/default/key/2", "two").status, 200);
  const auto secret = guest.get_resource(uri("default/key/2"));
  ASSERT_TRUE(secret) << secret.error().to_string();
  ASSERT_EQ(kbs_->set_resource_policy(before).status, 200);
}

TEST_F(Handshake, InitDataIsBoundAndShowsInTheClaims) {
  const std::string toml =
      "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"note.txt\" = \"hello\"\n"
      "\"aa.toml\" = '''\n[token_configs.kbs]\nurl = \"https://kbs\"\n'''\n";
  init_data_ = toml;
  EXPECT_FALSE(make(source_).attest()) << "HOST_DATA is zero";
  source_.change = [&](snp::Report& report) {
    std::ranges::copy(tee::sha256(as_bytes(toml)), report.host_data.begin());
  };
  const auto token = make(source_).attest();
  ASSERT_TRUE(token) << token.error().to_string();
  const Json claims = Json::parse(jose::parse_jws(*token)->payload);
  const Json& evidence = claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"];
  EXPECT_EQ(evidence["init_data_claims"]["note.txt"], "hello");
  EXPECT_EQ(evidence["init_data_claims"]["aa.toml"]["token_configs"]["kbs"]["url"], "https://kbs");
  EXPECT_EQ(evidence["init_data"], to_hex(tee::sha256(as_bytes(toml))));
}

TEST_F(Handshake, InitDataThatIsNotRegisteredOpensNothingPresentedOrNot) {
  const std::string toml = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n";
  const std::string digest = to_hex(tee::sha256(as_bytes(toml)));
  source_.change = [&](snp::Report& report) {
    std::ranges::copy(tee::sha256(as_bytes(toml)), report.host_data.begin());
  };
  const auto set = [&](const Json& value) {
    return kbs_->admin("POST", "/kbs/v0/reference-value", Json{{"init_data", value}}.dump()).status;
  };
  for (const auto& presented : {std::optional<std::string>(toml), std::optional<std::string>()}) {
    init_data_ = presented;
    ASSERT_EQ(set(Json::array({"aa"})), 200);
    auto guest = make(source_);
    ASSERT_FALSE(guest.get_resource(uri()));
    const auto& info = guest.last_refusal()->info;
    EXPECT_NE(info.detail.find("cpu0 is warning (configuration): reference values init_data (no "
                               "match)"),
              std::string::npos)
        << info.detail;
    EXPECT_EQ(info.detail.find(digest), std::string::npos) << "values are not the guest's";
    const Json kept = record(info.attestation_id);
    EXPECT_EQ(kept["reason"].get<std::string>(),
              "init_data: want [\"aa\"], got \"" + digest + "\"");
    EXPECT_EQ(kept["parts"][0]["reference_values"].back(), (Json{{"name", "init_data"},
                                                                 {"finding", "found"},
                                                                 {"value", {"aa"}},
                                                                 {"unmatched", {digest}}}));
    ASSERT_EQ(set(Json::array({"aa", digest})), 200);
    EXPECT_TRUE(make(source_).get_resource(uri()));
  }
  ASSERT_EQ(
      kbs_->admin("POST", "/kbs/v0/reference-values/delete", R"({"names": ["init_data"]})").status,
      200);
}

TEST_F(Handshake, ATokenOfAnotherBrokerOpensNothing) {
  const auto other = RunningKbs::start(trust());
  ASSERT_EQ(other->admin("POST", "/kbs/v0/reference-value", good_values().dump()).status, 200);
  client::KbsSettings settings;
  settings.url = other->url();
  settings.http.tls.ca_pem = other->certificate();
  auto guest = client::KbsClient::make(settings, source_);
  const auto token = guest->attest();
  ASSERT_TRUE(token) << token.error().to_string();
  const auto reply = kbs_->anyone("GET", "/kbs/v0/resource/default/key/1", "",
                                  {{"Authorization", "Bearer " + *token}});
  EXPECT_EQ(reply.status, 401);
  EXPECT_NE(reply.json()["detail"].get<std::string>().find("not one of this service"),
            std::string::npos)
      << reply.body;
}

TEST_F(Handshake, AnExpiredTokenOpensNothing) {
  const auto brief =
      RunningKbs::start(trust() + "[attestation_service]\npolicy_id = \"default\"\n");
  ASSERT_EQ(brief->admin("POST", "/kbs/v0/reference-value", good_values().dump()).status, 200);
  // Signed by the broker's own key, a while ago.
  std::ifstream file(brief->folder() + "/token.key");
  const std::string pem((std::istreambuf_iterator<char>(file)), {});
  const auto key = jose::PrivateKey::from_pem(pem);
  ASSERT_TRUE(key);
  const auto now = static_cast<std::int64_t>(::time(nullptr));
  const auto token = jose::sign_jws(
      *key, {{"typ", "JWT"}},
      Json{{"iss", "CoCo-Attestation-Service"}, {"iat", now - 400}, {"exp", now - 100}}.dump());
  const auto reply = brief->anyone("GET", "/kbs/v0/resource/default/key/1", "",
                                   {{"Authorization", "Bearer " + *token}});
  EXPECT_EQ(reply.status, 401);
  EXPECT_NE(reply.body.find("expired"), std::string::npos) << reply.body;
}

// Raw HTTP, as a recorded exchange would be sent again.
struct Exchange {
  std::string cookie, nonce;
};
Exchange begin(RunningKbs& kbs) {
  http::Settings settings;
  settings.tls.ca_pem = kbs.certificate();
  auto client = http::Client::make(settings);
  const auto reply = client->send({.method = "POST",
                                   .url = kbs.url() + "/kbs/v0/auth",
                                   .body = R"({"version":"0.4.0","tee":"snp","extra-params":{}})"});
  check(reply && reply->status == 200, "auth");
  const std::string set(*reply->header("set-cookie"));
  return {.cookie = set.substr(0, set.find(';')),
          .nonce = Json::parse(reply->body)["nonce"].get<std::string>()};
}

std::string attestation(const std::string& nonce, SnpSource& source, const jose::PrivateKey& key) {
  const Json jwk = *jose::to_tee_pubkey(key.public_key());
  const auto bound = protocol::primary_report_data(nonce, jwk, "");
  return protocol::serialise(protocol::Attestation{.init_data = {},
                                                   .nonce = nonce,
                                                   .tee_pubkey = jwk,
                                                   .primary_evidence = *source.evidence(*bound),
                                                   .additional_evidence = ""});
}

TEST_F(Handshake, AReplayedHandshakeIsRefused) {
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto exchange = begin(*kbs_);
  const std::string body = attestation(exchange.nonce, source_, key);
  const http::Headers headers = {{"Cookie", exchange.cookie}};
  ASSERT_EQ(kbs_->anyone("POST", "/kbs/v0/attest", body, headers).status, 200);
  const auto again = kbs_->anyone("POST", "/kbs/v0/attest", body, headers);
  EXPECT_EQ(again.status, 401);
  EXPECT_NE(again.body.find("replay"), std::string::npos) << again.body;
  // The same evidence in another session: its nonce is not that session's.
  const auto other = begin(*kbs_);
  const auto elsewhere = kbs_->anyone("POST", "/kbs/v0/attest", body, {{"Cookie", other.cookie}});
  EXPECT_EQ(elsewhere.status, 401);
  EXPECT_NE(elsewhere.body.find("nonce"), std::string::npos) << elsewhere.body;
  EXPECT_EQ(kbs_->anyone("POST", "/kbs/v0/attest", body).status, 401) << "without a session";
}

TEST_F(Handshake, EvidenceOfAnotherGuestsKeyIsRefused) {
  const auto mine = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto theirs = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto exchange = begin(*kbs_);
  Json body = Json::parse(attestation(exchange.nonce, source_, theirs));
  body["runtime-data"]["tee-pubkey"] = *jose::to_tee_pubkey(mine.public_key());
  const auto reply =
      kbs_->anyone("POST", "/kbs/v0/attest", body.dump(), {{"Cookie", exchange.cookie}});
  EXPECT_EQ(reply.status, 401);
  EXPECT_NE(reply.body.find("expect.report_data"), std::string::npos) << reply.body;
}

TEST_F(Handshake, AuthSaysWhatItSpeaksAndTakesNothingElse) {
  const auto old = kbs_->anyone("POST", "/kbs/v0/auth", R"({"version":"0.1.0","tee":"snp"})");
  EXPECT_EQ(old.status, 401);
  EXPECT_EQ(old.json()["supported-versions"], Json::array({"0.4.0"}));
  for (const auto* body : {"", "{", "[]", R"({"version":"0.4.0","tee":"toaster"})"}) {
    EXPECT_EQ(kbs_->anyone("POST", "/kbs/v0/auth", body).status, 400) << body;
  }
}

TEST_F(Handshake, SampleIsRefusedUnlessTheConfigurationAllowsIt) {
  const auto sample = client::make_sample_source();
  client::KbsSettings settings;
  settings.url = kbs_->url();
  settings.http.tls.ca_pem = kbs_->certificate();
  settings.handshake_attempts = 1;
  auto guest = client::KbsClient::make(settings, *sample);
  EXPECT_FALSE(guest->attest());
  EXPECT_NE(guest->last_refusal()->info.detail.find("allow_sample"), std::string::npos);
  const auto lenient = RunningKbs::start("[verifier]\nallow_sample = true\n");
  settings.url = lenient->url();
  settings.http.tls.ca_pem = lenient->certificate();
  auto other = client::KbsClient::make(settings, *sample);
  EXPECT_TRUE(other->attest());
}

TEST_F(Handshake, AServerThatWasKilledFinishesWhatItBegan) {
  const auto mine = RunningKbs::start(trust());
  ASSERT_EQ(mine->admin("POST", "/kbs/v0/reference-value", good_values().dump()).status, 200);
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto exchange = begin(*mine);
  mine->restart();
  const std::string body = attestation(exchange.nonce, source_, key);
  const auto reply = mine->anyone("POST", "/kbs/v0/attest", body, {{"Cookie", exchange.cookie}});
  EXPECT_EQ(reply.status, 200) << reply.body;
}

TEST_F(Handshake, EveryAttestationLeavesARecord) {
  const auto token = make(source_).attest();
  ASSERT_TRUE(token);
  const auto list = kbs_->admin("GET", "/kbs/v0/attestations?limit=1").json();
  ASSERT_EQ(list.size(), 1U);
  const Json claims = Json::parse(jose::parse_jws(*token)->payload);
  const Json kept = record(claims["jti"].get<std::string>());
  EXPECT_EQ(kept["outcome"], "token");
  EXPECT_EQ(kept["emulated"], true);
  EXPECT_GT(kept["checks"].size(), 10U);
  EXPECT_EQ(kept["parts"][0]["status"], "affirming");
  EXPECT_EQ(kbs_->admin("GET", "/kbs/v0/attestations/0123456789abcdef01234567").status, 404);
}

}  // namespace
}  // namespace coffer
