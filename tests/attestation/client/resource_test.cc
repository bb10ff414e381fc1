#include <gmock/gmock.h>

#include "trustee.h"

namespace coffer::client {
namespace {

using testing::ElementsAre;

class Resource : public testing::Test {
 protected:
  FakeWorld world_;
  Trustee trustee_;
  std::unique_ptr<EvidenceSource> source_ = make_sample_source();
};

TEST_F(Resource, ComesWithTheSessionsCookie) {
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  for (int i = 0; i < 2; ++i) {
    const auto secret = client.get_resource(resource());
    ASSERT_TRUE(secret) << secret.error().to_string();
    EXPECT_EQ(as_text(secret->view()), "the secret");
  }
  EXPECT_THAT(lines(broker), ElementsAre("POST /kbs/v0/auth", "POST /kbs/v0/attest",
                                         "GET /kbs/v0/resource/default/key/1",
                                         "GET /kbs/v0/resource/default/key/1"));
  EXPECT_EQ(broker.seen()[2].header("cookie"), kCookie);
  EXPECT_EQ(broker.seen()[2].header("authorization"), "");
}

TEST_F(Resource, ComesWithTheTokenInBearerMode) {
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url(), .mode = Mode::kBearer}, *source_, world_);
  ASSERT_TRUE(client.get_resource(resource()));
  const auto token = client.token();
  EXPECT_EQ(broker.seen()[2].header("authorization"), "Bearer " + *token);
  EXPECT_EQ(broker.seen().size(), 3U);
}

TEST_F(Resource, IsOpenedWithEachKindOfKey) {
  for (const auto type : {jose::KeyType::kEcP521, jose::KeyType::kRsa}) {
    FakeBroker broker(trustee_.handler());
    KbsClient client = make_client({.url = broker.url(), .key_type = type}, *source_, world_);
    const auto secret = client.get_resource(resource());
    ASSERT_TRUE(secret) << jose::key_type_name(type) << ": " << secret.error().to_string();
    EXPECT_EQ(as_text(secret->view()), "the secret");
  }
}

TEST_F(Resource, OfAPluginIsAskedForByItsPath) {
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url() + "/prefix"}, *source_, world_);
  trustee_.on_resource = [&](const SeenRequest& request) {
    if (request.line.starts_with("POST /prefix/kbs/v0/auth ")) return trustee_.challenge();
    if (request.line.starts_with("POST /prefix/kbs/v0/attest ")) return trustee_.accept(request);
    return trustee_.release();
  };
  ASSERT_TRUE(client.get_resource(resource("kbs+nebula-ca:///credential?name=a&ip=10.0.0.1/24")));
  EXPECT_EQ(lines(broker).back(), "GET /prefix/kbs/v0/nebula-ca/credential?name=a&ip=10.0.0.1/24");
}

TEST_F(Resource, IsAskedForAgainAfterTheSessionWasLost) {
  int calls = 0;
  trustee_.on_resource = [&](const SeenRequest&) {
    return ++calls == 1 ? Trustee::error(401, "TokenNotFound", "Attestation Token not found")
                        : trustee_.release();
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  ASSERT_TRUE(client.get_resource(resource()));
  EXPECT_EQ(broker.seen().size(), 6U);
  EXPECT_EQ(broker.seen()[3].header("cookie"), "") << "the old session was not forgotten";
}

TEST_F(Resource, IsGivenUpAfterThreeSessions) {
  trustee_.on_resource = [](const SeenRequest&) {
    return Trustee::error(401, "PluginInternalError", "Plugin internal error");
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto secret = client.get_resource(resource());
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code(), Code::kUnauthenticated);
  EXPECT_TRUE(mentions(secret.error(), "get resource 'resource/default/key/1'"));
  EXPECT_TRUE(mentions(secret.error(), "401 PluginInternalError: Plugin internal error"))
      << secret.error().to_string();
  EXPECT_EQ(broker.seen().size(), 9U);
}

struct Final {
  int status;
  const char* variant;
  Code code;
};

TEST_F(Resource, IsNotAskedForAgainAfterAFinalWord) {
  const Final cases[] = {
      {404, "InvalidRequestPath", Code::kNotFound},
      {403, "PolicyDeny", Code::kPermissionDenied},
      {401, "PolicyDeny", Code::kPermissionDenied},
      {400, "SerdeError", Code::kInvalidArgument},
      {418, "Teapot", Code::kUnknown},
  };
  for (const auto& test : cases) {
    trustee_.on_resource = [&](const SeenRequest&) {
      return Trustee::error(test.status, test.variant, "no");
    };
    FakeBroker broker(trustee_.handler());
    KbsClient client = make_client({.url = broker.url()}, *source_, world_);
    const auto secret = client.get_resource(resource());
    ASSERT_FALSE(secret);
    EXPECT_EQ(secret.error().code(), test.code) << test.status;
    EXPECT_EQ(broker.seen().size(), 3U) << test.status;
    EXPECT_TRUE(world_.slept.empty());
  }
}

TEST_F(Resource, IsAskedForAgainWithPausesWhileTheBrokerIsOverloaded) {
  int calls = 0;
  trustee_.on_resource = [&](const SeenRequest&) {
    return ++calls < 3 ? http_reply(500, "") : trustee_.release();
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  ASSERT_TRUE(client.get_resource(resource()));
  EXPECT_EQ(world_.slept.size(), 2U);
  EXPECT_EQ(broker.seen().size(), 5U) << "no new handshake";
}

TEST_F(Resource, EncryptedToAnotherKeyIsRefused) {
  trustee_.on_resource = [&](const SeenRequest&) {
    trustee_.guest_key = jose::PrivateKey::generate(jose::KeyType::kEcP256)->public_key();
    return trustee_.release();
  };
  FakeBroker broker(trustee_.handler());
  KbsClient client = make_client({.url = broker.url()}, *source_, world_);
  const auto secret = client.get_resource(resource());
  ASSERT_FALSE(secret);
  EXPECT_TRUE(mentions(secret.error(), "not made for this key")) << secret.error().to_string();
}

TEST_F(Resource, IsReleasedToATokenOfAnotherProcess) {
  FakeBroker broker(trustee_.handler());
  KbsClient first = make_client({.url = broker.url()}, *source_, world_);
  const auto token = first.attest();
  const auto pem = first.key().to_pem();
  ASSERT_TRUE(token && pem);
  auto second =
      KbsClient::make_with_token({.url = broker.url()}, *token,
                                 jose::PrivateKey::from_pem(*pem).value(), world_.environment());
  ASSERT_TRUE(second) << second.error().to_string();
  const auto secret = second->get_resource(resource());
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(broker.seen()[2].header("authorization"), "Bearer " + *token);

  trustee_.on_resource = [](const SeenRequest&) {
    return Trustee::error(401, "TokenVerifierError", "another issuer");
  };
  const auto refused = second->get_resource(resource());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(mentions(refused.error(), "another issuer"));
  EXPECT_EQ(broker.seen().size(), 4U);

  world_.now += 300;
  const auto expired = second->get_resource(resource());
  ASSERT_FALSE(expired);
  EXPECT_TRUE(mentions(expired.error(), "expired")) << expired.error().to_string();
}

}  // namespace
}  // namespace coffer::client
