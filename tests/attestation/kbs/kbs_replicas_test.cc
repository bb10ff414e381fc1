// Two coffer-kbs that share a PostgreSQL: by themselves, and behind a load balancer.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "attestation/client/kbs_client.h"
#include "attestation/jose/jwk.h"
#include "attestation/protocol/messages.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"
#include "tests/attestation/kbs/tcp_proxy.h"
#include "tests/attestation/store/postgres_cluster.h"

namespace coffer {
namespace {

using testing::RunningKbs;
using testing::SnpSource;
using testing::TcpProxy;

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
    two_ = RunningKbs::replica_of(*one_);
    ASSERT_EQ(one_->admin("POST", "/kbs/v0/reference-value", testing::good_values().dump()).status,
              200);
    ASSERT_EQ(one_->admin("POST", "/kbs/v0/resource/default/key/1", "the secret").status, 200);
  }
  static client::KbsSettings settings_for(const std::string& url, const std::string& certificate,
                                          unsigned attempts) {
    client::KbsSettings settings;
    settings.url = url;
    settings.http.tls.ca_pem = certificate;
    settings.handshake_attempts = attempts;
    settings.resource_attempts = attempts;
    settings.first_delay = std::chrono::milliseconds(10);
    return settings;
  }
  // A fresh guest of that broker; empty when it got no secret.
  static std::string secret_from(const std::string& url, const std::string& certificate,
                                 unsigned attempts) {
    SnpSource source;
    auto guest = client::KbsClient::make(settings_for(url, certificate, attempts), source);
    if (!guest) return {};
    const auto secret = guest->get_resource(*protocol::parse_resource_uri("kbs:///default/key/1"));
    return secret ? std::string(as_text(secret->view())) : std::string();
  }
  // On a connection of its own; nothing when it broke off.
  [[nodiscard]] std::optional<http::Response> send(const http::Request& request) const {
    http::Settings settings;
    settings.tls.ca_pem = one_->certificate();
    auto client = http::Client::make(settings);
    check(client.has_value(), "make a client");
    auto reply = client->send(request);
    return reply ? std::optional(*std::move(reply)) : std::nullopt;
  }
  // A handshake whose two halves, and what follows, are sent to these.
  void shake_hands(const std::string& begin, const std::string& finish, const std::string& after) {
    const auto begun = send({.method = "POST",
                             .url = begin + "/kbs/v0/auth",
                             .body = R"({"version":"0.4.0","tee":"snp","extra-params":""})"});
    ASSERT_TRUE(begun);
    const auto nonce = nlohmann::json::parse(begun->body)["nonce"].get<std::string>();
    const std::string set(*begun->header("set-cookie"));
    const http::Headers cookie = {{"Cookie", set.substr(0, set.find(';'))}};
    const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
    const auto jwk = *jose::to_tee_pubkey(key.public_key());
    SnpSource source;
    const std::string body = protocol::serialise(protocol::Attestation{
        .init_data = {},
        .nonce = nonce,
        .tee_pubkey = jwk,
        .primary_evidence = *source.evidence(*protocol::primary_report_data(nonce, jwk, "")),
        .additional_evidence = ""});
    const auto post = [&](const std::string& to) {
      return send(
          {.method = "POST", .url = to + "/kbs/v0/attest", .headers = cookie, .body = body});
    };
    const auto done = post(finish);
    ASSERT_TRUE(done);
    ASSERT_EQ(done->status, 200) << done->body;
    // Spent for both, and its session and token are good at both.
    const auto again = post(after);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->status, 401);
    const std::string bearer =
        "Bearer " + nlohmann::json::parse(done->body)["token"].get<std::string>();
    for (const auto& headers : {cookie, http::Headers{{"Authorization", bearer}}}) {
      const auto resource =
          send({.url = after + "/kbs/v0/resource/default/key/1", .headers = headers});
      ASSERT_TRUE(resource);
      EXPECT_EQ(resource->status, 200) << resource->body;
    }
  }

  std::optional<testing::PostgresCluster> cluster_;
  std::unique_ptr<RunningKbs> one_, two_;
};

TEST_F(Replicas, OneFinishesTheHandshakeThatTheOtherBegan) {
  shake_hands(one_->url(), two_->url(), one_->url());
}

TEST_F(Replicas, BehindALoadBalancerEachRequestMayMeetAnother) {
  const TcpProxy proxy({one_->port(), two_->port()});
  const std::string url = "https://127.0.0.1:" + std::to_string(proxy.port());
  // Five connections, in turn: auth meets the first, attest the second.
  shake_hands(url, url, url);
  EXPECT_EQ(proxy.connections(), (std::vector<int>{3, 2}));
}

// What an administrator wrote during the load, and was told that it is kept.
struct Acknowledged {
  std::vector<int> written;
  int after_kill = 0;
};

TEST_F(Replicas, AKill9UnderLoadLosesNoHandshakeAndNoAcknowledgedWrite) {
  constexpr int kGuests = 200;
  constexpr int kMaxWrites = 2000;
  constexpr int kAfterKill = 10;
  const TcpProxy proxy({one_->port(), two_->port()});
  const std::string url = "https://127.0.0.1:" + std::to_string(proxy.port());
  std::atomic<bool> killed = false;
  std::atomic<bool> loaded = true;
  Acknowledged kept;
  std::thread administrator([&] {
    const http::Headers headers = {{"Authorization", "Bearer " + one_->admin_token()}};
    const auto post = [&](const std::string& path, const std::string& body) {
      const auto reply = send(
          {.method = "POST", .url = url + "/kbs/v0/" + path, .headers = headers, .body = body});
      return reply && reply->status == 200;
    };
    for (int i = 0; i < kMaxWrites && (loaded || kept.after_kill < kAfterKill); ++i) {
      const std::string name = std::to_string(i);
      const bool late = killed;
      if (!post("resource/load/written/" + name, "content " + name) ||
          !post("reference-value", R"({"written_)" + name + R"(": )" + name + "}")) {
        continue;
      }
      kept.written.push_back(i);
      kept.after_kill += late ? 1 : 0;
    }
  });
  std::atomic<int> next = 0;
  std::atomic<int> served = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int guest = next++; guest < kGuests; guest = next++) {
        if (guest == kGuests / 4) {
          one_->kill9();
          killed = true;
        }
        if (secret_from(url, one_->certificate(), 5) == "the secret") ++served;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  loaded = false;
  administrator.join();
  EXPECT_EQ(served, kGuests);
  EXPECT_GE(kept.after_kill, kAfterKill);
  EXPECT_GT(kept.written.size(), static_cast<std::size_t>(kept.after_kill)) << "none before";
  SnpSource source;
  auto reader = client::KbsClient::make(settings_for(two_->url(), two_->certificate(), 1), source);
  for (const int i : kept.written) {
    const std::string name = std::to_string(i);
    const auto content =
        reader->get_resource(*protocol::parse_resource_uri("kbs:///load/written/" + name));
    ASSERT_TRUE(content) << content.error().to_string();
    EXPECT_EQ(as_text(content->view()), "content " + name);
    EXPECT_EQ(two_->admin("GET", "/kbs/v0/reference-value/written_" + name).body, name);
  }
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
