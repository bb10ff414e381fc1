// The client against exchanges that another implementation recorded: tests/attestation/recorded.

#include <gmock/gmock.h>

#include <fstream>

#include "attestation/protocol/report_data.h"
#include "trustee.h"

namespace coffer::client {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;

const Json& record() {
  static const Json kRecord = [] {
    std::ifstream file(COFFER_SOURCE_DIR "/tests/attestation/recorded/trustee.json");
    return Json::parse(file);
  }();
  return kRecord;
}

// Sends back what was recorded, byte for byte.
FakeBroker::Handler replies_of(const Json& replies) {
  return [&replies](const SeenRequest& request) {
    const bool auth = request.line.starts_with("POST /kbs/v0/auth ");
    const bool attest = request.line.starts_with("POST /kbs/v0/attest ");
    return replies[auth ? "auth" : attest ? "attest" : "resource"].get<std::string>();
  };
}

class Recorded : public testing::Test {
 protected:
  KbsClient make(const Json& handshake, const std::string& url, Mode mode = Mode::kCookie) {
    KbsSettings settings{.url = url, .mode = mode};
    settings.init_data = handshake["attestation"]["init-data"]["body"].get<std::string>();
    auto client = KbsClient::make_with_key(
        settings, *source_, jose::PrivateKey::from_pem(handshake["key"].get<std::string>()).value(),
        world_.environment());
    EXPECT_TRUE(client) << client.error().to_string();
    return *std::move(client);
  }

  FakeWorld world_{.now = 1'893'456'000, .slept = {}};
  std::unique_ptr<EvidenceSource> source_ = make_sample_source();
};

TEST_F(Recorded, HandshakesAreSpokenAsRecorded) {
  for (const auto& handshake : record()["handshakes"]) {
    SCOPED_TRACE(handshake["name"].get<std::string>());
    FakeBroker broker(replies_of(handshake["replies"]));
    KbsClient client = make(handshake, broker.url());
    const auto secret = client.get_resource(resource());
    ASSERT_TRUE(secret) << secret.error().to_string();
    EXPECT_EQ(as_text(secret->view()), record()["secret"].get<std::string>());

    const auto seen = broker.seen();
    EXPECT_THAT(lines(broker), ElementsAre("POST /kbs/v0/auth", "POST /kbs/v0/attest",
                                           "GET /kbs/v0/resource/default/key/1"));
    EXPECT_EQ(seen[0].header("cookie"), "");
    EXPECT_EQ(seen[1].header("cookie"), record()["cookie"].get<std::string>());
    EXPECT_EQ(seen[2].header("cookie"), record()["cookie"].get<std::string>());
    EXPECT_EQ(seen[1].header("content-type"), "application/json");
    // Key, nonce and digest: all of it is determined.
    EXPECT_EQ(Json::parse(seen[1].body), handshake["attestation"]);
  }
}

TEST_F(Recorded, TokensAreBorneAsRecorded) {
  const auto& handshake = record()["handshakes"][0];
  FakeBroker broker(replies_of(handshake["replies"]));
  KbsClient client = make(handshake, broker.url(), Mode::kBearer);
  ASSERT_TRUE(client.get_resource(resource()));
  const auto reply = handshake["replies"]["attest"].get<std::string>();
  const auto token = Json::parse(reply.substr(reply.find("\r\n\r\n")))["token"].get<std::string>();
  EXPECT_EQ(broker.seen()[2].header("authorization"), "Bearer " + token);
  // It expires when the record says so, and is renewed before.
  world_.now += 269;
  EXPECT_EQ(client.token().value(), token);
  EXPECT_EQ(broker.seen().size(), 3U);
  world_.now += 1;
  EXPECT_TRUE(client.token());
  EXPECT_EQ(broker.seen().size(), 5U);
}

TEST_F(Recorded, ReportDataIsWhatTheOtherImplementationComputes) {
  for (const auto& handshake : record()["handshakes"]) {
    const auto key = jose::PrivateKey::from_pem(handshake["key"].get<std::string>());
    ASSERT_TRUE(key) << key.error().to_string();
    const auto jwk = jose::to_tee_pubkey(key->public_key());
    ASSERT_TRUE(jwk);
    EXPECT_EQ(*jwk, handshake["attestation"]["runtime-data"]["tee-pubkey"]);
    const auto nonce = record()["nonce"].get<std::string>();
    EXPECT_EQ(to_hex(protocol::primary_report_data(nonce, *jwk, "").value()),
              handshake["report_data"].get<std::string>());
  }
}

struct RecordedError {
  const char* name;
  const char* step;
  Code code;
  const char* mentions;
};

TEST_F(Recorded, ErrorsAreUnderstood) {
  const RecordedError cases[] = {
      {"version", "auth", Code::kUnauthenticated, "expected version 0.3.0, received 0.4.0"},
      {"attest", "attest", Code::kUnauthenticated, "RCAR handshake Attest failed"},
      {"policy", "resource", Code::kPermissionDenied, "Access denied by policy"},
      {"missing", "resource", Code::kUnauthenticated, "Plugin internal error"},
      {"token", "resource", Code::kUnauthenticated, "Attestation Token not found"},
  };
  const auto& handshake = record()["handshakes"][0];
  for (const auto& test : cases) {
    Json replies = handshake["replies"];
    replies[test.step] = record()["errors"][test.name];
    FakeBroker broker(replies_of(replies));
    KbsClient client = make(handshake, broker.url());
    const auto secret = client.get_resource(resource());
    ASSERT_FALSE(secret) << test.name;
    EXPECT_EQ(secret.error().code(), test.code) << test.name;
    EXPECT_TRUE(mentions(secret.error(), test.mentions)) << secret.error().to_string();
  }
}

}  // namespace
}  // namespace coffer::client
