#include <gmock/gmock.h>

#include "attestation/protocol/report_data.h"
#include "trustee.h"

namespace coffer::client {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;
using testing::ElementsAre;

class Handshake : public testing::Test {
 protected:
  FakeWorld world_;
  Trustee trustee_;
  std::unique_ptr<EvidenceSource> source_ = make_sample_source();
};

TEST_F(Handshake, SpeaksAsTrusteesClientDoes) {
  FakeBroker broker(trustee_.handler());
  KbsSettings settings{.url = broker.url() + "/"};
  settings.init_data = "version = \"0.1.0\"\n";
  KbsClient client = make_client(settings, *source_, world_);
  const auto token = client.attest();
  ASSERT_TRUE(token) << token.error().to_string();
  EXPECT_TRUE(jose::parse_jws(*token));
  EXPECT_TRUE(world_.slept.empty());

  const auto seen = broker.seen();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].body,
            R"({"version":"0.4.0","tee":"sample","extra-params":{"supported-hash-algorithms":)"
            R"(["sha256","sha384","sha512"]}})");
  EXPECT_EQ(seen[0].header("content-type"), "application/json");
  EXPECT_EQ(seen[0].header("cookie"), "");
  EXPECT_TRUE(seen[0].header("user-agent").starts_with("attestation-agent-kbs-client/"));
  EXPECT_EQ(seen[1].header("cookie"), kCookie);

  const Json attest = Json::parse(seen[1].body);
  EXPECT_EQ(attest["init-data"], (Json{{"format", "toml"}, {"body", "version = \"0.1.0\"\n"}}));
  EXPECT_EQ(attest["runtime-data"]["nonce"], kNonce);
  EXPECT_EQ(attest["tee-evidence"]["additional_evidence"], "");
  const Json& key = attest["runtime-data"]["tee-pubkey"];
  EXPECT_EQ(key.size(), 5U);
  EXPECT_EQ(attest["tee-evidence"]["primary_evidence"]["report_data"],
            to_base64(protocol::primary_report_data(kNonce, key, "").value()));
}

TEST_F(Handshake, HashesAsTheBrokerChooses) {
  trustee_.on_auth = [](const SeenRequest&) {
    return http_reply(200, R"({"nonce":"n","extra-params":{"selected-hash-algorithm":"sha512"}})");
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  ASSERT_TRUE(client.attest());
  const Json attest = Json::parse(broker.seen()[1].body);
  EXPECT_EQ(
      from_base64(attest["tee-evidence"]["primary_evidence"]["report_data"].get<std::string>())
          ->size(),
      64U);
}

TEST_F(Handshake, IsTriedAgainWithGrowingPausesWhenTheBrokerIsDown) {
  trustee_.on_auth = [](const SeenRequest&) { return std::string(); };  // hangs up
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), Code::kUnavailable);
  EXPECT_TRUE(mentions(token.error(), "tried 5 times")) << token.error().to_string();
  EXPECT_TRUE(mentions(token.error(), broker.url()));
  EXPECT_THAT(world_.slept, ElementsAre(seconds(1), seconds(2), seconds(4), seconds(8)));
}

TEST_F(Handshake, NamesTheUrlAndTheReasonWhenNobodyListens) {
  std::string url;
  {
    const FakeBroker gone(trustee_.handler());
    url = gone.url();
  }
  KbsSettings settings{.url = url};
  settings.handshake_attempts = 2;
  KbsClient client = make_client(settings, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_TRUE(mentions(token.error(), url + "/kbs/v0/auth: ")) << token.error().to_string();
  EXPECT_TRUE(mentions(token.error(), "onnect")) << token.error().to_string();
}

TEST_F(Handshake, SucceedsOnceTheBrokerIsBack) {
  int calls = 0;
  trustee_.on_auth = [&](const SeenRequest&) {
    return ++calls < 3 ? http_reply(503, "overloaded") : trustee_.challenge();
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  EXPECT_TRUE(client.attest());
  EXPECT_EQ(world_.slept.size(), 2U);
  EXPECT_FALSE(client.last_refusal());
}

TEST_F(Handshake, EndsAtOnceWhenTheEvidenceWasAppraisedAndRefused) {
  trustee_.on_attest = [](const SeenRequest&) {
    auto error = protocol::make_error("AttestationError", "measurement is not a reference value");
    error.attestation_id = "a-17";
    return http_reply(401, protocol::serialise(error));
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), Code::kUnauthenticated);
  EXPECT_TRUE(mentions(token.error(),
                       "401 AttestationError: measurement is not a reference value (attestation "
                       "a-17)"))
      << token.error().to_string();
  EXPECT_EQ(client.last_refusal()->info.attestation_id, "a-17");
  EXPECT_TRUE(world_.slept.empty());
  EXPECT_THAT(lines(broker), ElementsAre("POST /kbs/v0/auth", "POST /kbs/v0/attest"));
}

TEST(Refusal, NamesTheRecordOnce) {
  Refusal refusal{.status = 403, .info = protocol::make_error("PolicyDeny", "denied")};
  refusal.info.attestation_id = "a-1";
  EXPECT_EQ(to_error(refusal, "GET x").to_string(),
            "GET x: 403 PolicyDeny: denied (attestation a-1)");
  refusal.info.detail = "denied, see a-1";
  EXPECT_EQ(to_error(refusal, "GET x").to_string(), "GET x: 403 PolicyDeny: denied, see a-1");
}

// Trustee says 401 to everything: a lost session may be behind it.
TEST_F(Handshake, IsTriedAgainAfterTrusteesBare401) {
  trustee_.on_attest = [](const SeenRequest&) {
    return Trustee::error(401, "AttestationError",
                          "Attestation error: RCAR handshake Attest failed");
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_TRUE(mentions(token.error(), "RCAR handshake Attest failed"));
  EXPECT_EQ(broker.seen().size(), 10U);
}

TEST_F(Handshake, SaysWhichProtocolVersionsClash) {
  trustee_.on_auth = [](const SeenRequest&) {
    auto error = protocol::make_error("AttestationError", "version");
    error.supported_versions = {"0.5.0", "0.6.0"};
    return http_reply(401, protocol::serialise(error));
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(mentions(token.error(), "speaks protocol version 0.5.0, 0.6.0, we speak 0.4.0"))
      << token.error().to_string();
  EXPECT_TRUE(world_.slept.empty());
}

struct OddReply {
  std::string reply;
  const char* why;
};

TEST_F(Handshake, EndsAtRepliesThatAreNoneOfTheProtocol) {
  const OddReply cases[] = {
      {http_reply(404, "no such page"), "404: no such page"},
      {http_reply(200, "<html>"), "parse Challenge"},
      {http_reply(200, R"({"nonce":1})"), "'nonce' is no string"},
      {http_reply(413, ""), "payload_request_size"},
      {http_reply(302, "", "location: http://127.0.0.1:1/\r\n"), "302"},
      {http_reply(400, "a\x1b[31mb\n"), "400: a [31mb "},
  };
  for (const auto& test : cases) {
    trustee_.on_auth = [&](const SeenRequest&) { return test.reply; };
    FakeBroker broker(trustee_.handler());
    KbsClient client = make_client({.url = broker.url()}, *source_, world_);
    const auto token = client.attest();
    ASSERT_FALSE(token);
    EXPECT_TRUE(mentions(token.error(), test.why)) << token.error().to_string();
    EXPECT_EQ(broker.seen().size(), 1U) << test.why;
  }
}

TEST_F(Handshake, RefusesATokenThatIsNone) {
  trustee_.on_attest = [](const SeenRequest&) { return http_reply(200, R"({"token":"x"})"); };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_TRUE(mentions(token.error(), "read token of KBS"));
}

TEST_F(Handshake, BoundsTheReply) {
  trustee_.on_auth = [](const SeenRequest&) { return http_reply(200, std::string(4097, ' ')); };
  FakeBroker broker(trustee_.handler());
  KbsSettings settings{.url = broker.url()};
  settings.http.max_body = 4096;
  KbsClient client = make_client(settings, *source_, world_);
  const auto token = client.attest();
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), Code::kResourceExhausted);
}

class FailingSource final : public EvidenceSource {
 public:
  FailingSource(Code code, int failures) : code_(code), failures_(failures) {}
  [[nodiscard]] protocol::Tee tee() const override { return protocol::Tee::kSnp; }
  [[nodiscard]] Result<Json> evidence(BytesView /*report_data*/) override {
    if (failures_-- > 0) return fail(code_, "the firmware does not answer");
    return Json::object();
  }

 private:
  Code code_;
  int failures_;
};

TEST_F(Handshake, AsksABusyPlatformAgainAndABrokenOneNot) {
  FakeBroker broker(trustee_.handler());
  FailingSource busy(Code::kUnavailable, 2);
  EXPECT_TRUE(make_client({.url = broker.url()}, busy, world_).attest());
  EXPECT_EQ(world_.slept.size(), 2U);
  FailingSource broken(Code::kFailedPrecondition, 1);
  const auto token = make_client({.url = broker.url()}, broken, world_).attest();
  ASSERT_FALSE(token);
  EXPECT_TRUE(mentions(token.error(), "make snp evidence: the firmware does not answer"));
  EXPECT_EQ(world_.slept.size(), 2U);
}

TEST_F(Handshake, KeepsTheTokenUntilItIsAboutToExpire) {
  trustee_.world = &world_;
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  ASSERT_TRUE(client.token());
  world_.now += 269;
  ASSERT_TRUE(client.token());
  EXPECT_EQ(broker.seen().size(), 2U);
  world_.now += 1;  // 30 s are left
  ASSERT_TRUE(client.token());
  EXPECT_EQ(broker.seen().size(), 4U);
}

TEST_F(Handshake, RefusesUrlsAndKeysThatCannotBe) {
  for (const char* url : {"", "broker:8080", "ftp://x", "https://x/?a", "https://x\r\nY: z"}) {
    EXPECT_FALSE(KbsClient::make({.url = url}, *source_, {})) << url;
  }
  KbsSettings settings{.url = "https://x"};
  settings.key_type = jose::KeyType::kEd25519;
  EXPECT_FALSE(KbsClient::make(settings, *source_, {}));
}

}  // namespace
}  // namespace coffer::client
