#include "base/http/pin.h"
#include "trustee.h"

namespace coffer::client {
namespace {

class Tls : public testing::Test {
 protected:
  Result<std::string> attest_with(const http::TlsTrust& trust) {
    KbsSettings settings{.url = broker_.url()};
    settings.http.tls = trust;
    return make_client(settings, *source_, world_).attest();
  }

  FakeWorld world_;
  Trustee trustee_;
  std::unique_ptr<EvidenceSource> source_ = make_sample_source();
  jose::PrivateKey key_ = jose::PrivateKey::generate(jose::KeyType::kEcP256).value();
  FakeBroker broker_{trustee_.handler(), key_};
  FakeBroker other_{trustee_.handler(), jose::PrivateKey::generate(jose::KeyType::kEcP256).value()};
};

TEST_F(Tls, BelievesTheGivenCa) {
  const auto token = attest_with({.ca_pem = broker_.certificate_pem(), .pin = {}});
  EXPECT_TRUE(token) << token.error().to_string();
}

TEST_F(Tls, BelievesThePinnedKeyInEveryForm) {
  for (const std::string& pin : {broker_.certificate_pem(), key_.public_key().to_pem().value()}) {
    const auto parsed = http::parse_pin(pin);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    const auto token = attest_with({.ca_pem = {}, .pin = *parsed});
    EXPECT_TRUE(token) << token.error().to_string();
    EXPECT_EQ(http::parse_pin("sha256//" + *parsed).value(), *parsed);
    EXPECT_EQ(http::parse_pin("sha256:" + to_hex(from_base64(*parsed).value())).value(), *parsed);
  }
  EXPECT_FALSE(http::parse_pin("hello"));
  EXPECT_FALSE(http::parse_pin("sha256:abcd"));
}

TEST_F(Tls, RefusesAnotherCertificateAtOnceAndSaysSo) {
  const http::TlsTrust cases[] = {
      {.ca_pem = other_.certificate_pem(), .pin = {}},
      {.ca_pem = {}, .pin = http::parse_pin(other_.certificate_pem()).value()},
      {.ca_pem = broker_.certificate_pem(),
       .pin = http::parse_pin(other_.certificate_pem()).value()},
      {.ca_pem = other_.certificate_pem(),
       .pin = http::parse_pin(broker_.certificate_pem()).value()},
      {},  // the system's roots know neither
  };
  for (const auto& trust : cases) {
    const auto token = attest_with(trust);
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().code(), Code::kUnauthenticated) << token.error().to_string();
    EXPECT_TRUE(mentions(token.error(), broker_.url()));
  }
  EXPECT_TRUE(world_.slept.empty());
  EXPECT_TRUE(broker_.seen().empty()) << "something was said to a server that was not believed";
}

TEST_F(Tls, RefusesACaThatIsNone) {
  const auto token = attest_with({.ca_pem = "hello", .pin = {}});
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), Code::kUnauthenticated) << token.error().to_string();
}

TEST_F(Tls, WaitsNoLongerThanItWasTold) {
  // Listens and never answers.
  Trustee silent;
  FakeBroker broker(silent.handler());
  KbsSettings settings{.url = "https" + broker.url().substr(4)};  // no TLS there: reads garbage
  settings.http.timeout = std::chrono::milliseconds(50);
  settings.handshake_attempts = 1;
  const auto token = make_client(settings, *source_, world_).attest();
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), Code::kDeadlineExceeded) << token.error().to_string();
}

}  // namespace
}  // namespace coffer::client
