// What the recorded exchanges of Trustee look like, and the words of the client's tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "attestation/client/kbs_client.h"
#include "attestation/jose/jwe.h"
#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/protocol/messages.h"
#include "fake_broker.h"

namespace coffer::client {

inline constexpr std::int64_t kNow = 1'800'000'000;
inline constexpr std::string_view kNonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
inline constexpr std::string_view kCookie = "kbs-session-id=0123456789abcdef0123456789abcdef";

// No clock and no sleeping: time goes on by what is slept.
struct FakeWorld {
  std::int64_t now = kNow;
  std::vector<std::chrono::milliseconds> slept;

  [[nodiscard]] Environment environment() {
    return {.now = [this] { return now; },
            .sleep = [this](std::chrono::milliseconds delay) { slept.push_back(delay); }};
  }
};

// Trustee's answers by default; a test puts its own in place of any of them.
class Trustee {
 public:
  std::string secret = "the secret";
  std::int64_t token_life = 300;
  std::function<std::string(const SeenRequest&)> on_auth, on_attest, on_resource;
  FakeWorld* world = nullptr;
  std::optional<jose::PublicKey> guest_key;

  [[nodiscard]] FakeBroker::Handler handler() {
    return [this](const SeenRequest& request) { return answer(request); };
  }

  [[nodiscard]] static std::string error(int status, std::string_view variant,
                                         std::string_view detail) {
    return http_reply(status,
                      protocol::serialise(protocol::make_error(variant, std::string(detail))));
  }

  [[nodiscard]] std::string challenge() const {
    return http_reply(200, R"({"nonce":")" + std::string(kNonce) + R"(","extra-params":""})",
                      cookie_header());
  }

  [[nodiscard]] std::string accept(const SeenRequest& request) {
    const auto attestation = protocol::parse_attestation(request.body);
    if (!attestation) return error(401, "SerdeError", attestation.error().to_string());
    auto key = jose::parse_tee_pubkey(attestation->tee_pubkey);
    if (!key) return error(401, "AttestationError", key.error().to_string());
    guest_key = *std::move(key);
    return http_reply(200, R"({"token":")" + token() + R"("})", cookie_header());
  }

  [[nodiscard]] std::string token() const {
    static const auto signer = jose::PrivateKey::generate(jose::KeyType::kEcP256);
    const auto now = world != nullptr ? world->now : kNow;
    const nlohmann::json claims = {{"iss", "CoCo-Attestation-Service"}, {"exp", now + token_life}};
    return jose::sign_jws(*signer, {{"typ", "JWT"}}, claims.dump()).value();
  }

  [[nodiscard]] std::string release() const {
    const auto jwe = jose::encrypt_jwe(guest_key.value(), as_bytes(secret));
    return http_reply(200, jose::serialise_jwe(jwe.value()));
  }

 private:
  [[nodiscard]] static std::string cookie_header() {
    return "set-cookie: " + std::string(kCookie) + "; Expires=Sat, 25 Nov 2090 12:05:00 GMT\r\n";
  }

  std::string answer(const SeenRequest& request) {
    if (request.line == "POST /kbs/v0/auth HTTP/1.1") {
      return on_auth ? on_auth(request) : challenge();
    }
    if (request.line == "POST /kbs/v0/attest HTTP/1.1") {
      return on_attest ? on_attest(request) : accept(request);
    }
    return on_resource ? on_resource(request) : release();
  }
};

inline KbsClient make_client(KbsSettings settings, EvidenceSource& source, FakeWorld& world) {
  auto client = KbsClient::make(std::move(settings), source, world.environment());
  EXPECT_TRUE(client) << client.error().to_string();
  return *std::move(client);
}

inline protocol::ResourceUri resource(const char* uri = "kbs:///default/key/1") {
  return protocol::parse_resource_uri(uri).value();
}

inline std::vector<std::string> lines(const FakeBroker& broker) {
  std::vector<std::string> out;
  for (const auto& request : broker.seen()) {
    out.push_back(request.line.substr(0, request.line.rfind(' ')));
  }
  return out;
}

inline bool mentions(const Error& error, std::string_view text) {
  return error.to_string().find(text) != std::string::npos;
}

}  // namespace coffer::client
