// Two coffer-kbs that share a PostgreSQL.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "attestation/client/kbs_client.h"
#include "attestation/jose/jwk.h"
#include "attestation/protocol/messages.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"
#include "tests/attestation/store/postgres_cluster.h"

namespace coffer {
namespace {

using testing::RunningKbs;
using testing::SnpSource;

class Replicas : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    auto started = testing::PostgresCluster::start(why);
    if (!started) GTEST_SKIP() << why;
    cluster_.emplace(*std::move(started));
    const std::string store = cluster_->new_database();
    ASSERT_FALSE(store.empty());
    one_ = RunningKbs::start(testing::trust(), store);
    two_ = RunningKbs::start(testing::trust(), store);
    ASSERT_EQ(one_->admin("POST", "/kbs/v0/reference-value", testing::good_values().dump()).status,
              200);
    ASSERT_EQ(one_->admin("POST", "/kbs/v0/resource/default/key/1", "the secret").status, 200);
  }
  // A fresh guest of that broker; empty when it got no secret.
  static std::string secret_from(RunningKbs& kbs) {
    SnpSource source;
    client::KbsSettings settings;
    settings.url = kbs.url();
    settings.http.tls.ca_pem = kbs.certificate();
    settings.handshake_attempts = 1;
    settings.resource_attempts = 1;
    auto guest = client::KbsClient::make(settings, source);
    if (!guest) return {};
    const auto secret = guest->get_resource(*protocol::parse_resource_uri("kbs:///default/key/1"));
    return secret ? std::string(as_text(secret->view())) : std::string();
  }

  std::optional<testing::PostgresCluster> cluster_;
  std::unique_ptr<RunningKbs> one_, two_;
};

TEST_F(Replicas, OneFinishesTheHandshakeThatTheOtherBegan) {
  http::Settings settings;
  settings.tls.ca_pem = one_->certificate();
  auto http = http::Client::make(settings);
  const auto begun = http->send({.method = "POST",
                                 .url = one_->url() + "/kbs/v0/auth",
                                 .body = R"({"version":"0.4.0","tee":"snp","extra-params":""})"});
  ASSERT_TRUE(begun);
  const auto nonce = nlohmann::json::parse(begun->body)["nonce"].get<std::string>();
  const std::string cookie(
      begun->header("set-cookie")->substr(0, begun->header("set-cookie")->find(';')));
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto jwk = *jose::to_tee_pubkey(key.public_key());
  SnpSource source;
  const std::string body = protocol::serialise(protocol::Attestation{
      .init_data = {},
      .nonce = nonce,
      .tee_pubkey = jwk,
      .primary_evidence = *source.evidence(*protocol::primary_report_data(nonce, jwk, "")),
      .additional_evidence = ""});
  const auto done = two_->anyone("POST", "/kbs/v0/attest", body, {{"Cookie", cookie}});
  ASSERT_EQ(done.status, 200) << done.body;
  // Spent for both, and its session and token are good at both.
  EXPECT_EQ(one_->anyone("POST", "/kbs/v0/attest", body, {{"Cookie", cookie}}).status, 401);
  EXPECT_EQ(one_->anyone("GET", "/kbs/v0/resource/default/key/1", "", {{"Cookie", cookie}}).status,
            200);
  const std::string bearer = "Bearer " + done.json()["token"].get<std::string>();
  EXPECT_EQ(
      one_->anyone("GET", "/kbs/v0/resource/default/key/1", "", {{"Authorization", bearer}}).status,
      200);
}

TEST_F(Replicas, AfterAKill9OfOneARetryAtTheOtherLosesNothing) {
  constexpr int kGuests = 200;
  std::atomic<int> next = 0;
  std::atomic<int> served = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int guest = next++; guest < kGuests; guest = next++) {
        if (guest == kGuests / 4) one_->kill9();
        RunningKbs& first = guest % 2 == 0 ? *one_ : *two_;
        std::string secret = secret_from(first);
        if (secret.empty()) secret = secret_from(*two_);
        if (secret == "the secret") ++served;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(served, kGuests);
}

TEST_F(Replicas, WhatOneAcknowledgedTheOtherHas) {
  ASSERT_EQ(one_->admin("POST", "/kbs/v0/resource/a/b/c", "x").status, 200);
  ASSERT_EQ(one_->admin("POST", "/kbs/v0/reference-value", R"({"late": 1})").status, 200);
  one_->kill9();
  EXPECT_EQ(two_->admin("GET", "/kbs/v0/reference-value/late").body, "1");
  EXPECT_EQ(two_->admin("DELETE", "/kbs/v0/resource/a/b/c").status, 200);
}

}  // namespace
}  // namespace coffer
