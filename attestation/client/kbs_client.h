// The guest's side of the key broker protocol 0.4.0: a handshake that proves what the guest is, the
// token that it gives, and the resources that the token opens. Speaks to coffer-kbs and to Trustee.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "attestation/client/evidence_source.h"
#include "attestation/client/refusal.h"
#include "attestation/jose/key.h"
#include "attestation/protocol/resource_path.h"
#include "base/error.h"
#include "base/http/client.h"
#include "base/secret.h"

namespace coffer::client {

// How resources are asked for.
enum class Mode : std::uint8_t {
  kCookie,  // with the handshake's session: the broker attests and releases (background check)
  kBearer,  // with the token: any broker that trusts its issuer releases (passport)
};

struct KbsSettings {
  std::string url;  // "https://host:port", perhaps with a path before /kbs/v0/
  http::Settings http = {.user_agent = "attestation-agent-kbs-client/" COFFER_VERSION};
  Mode mode = Mode::kCookie;
  jose::KeyType key_type = jose::KeyType::kEcP256;  // or P-521, RSA
  // The plain TOML, sent along so that the broker sees what the evidence's digest is of.
  std::optional<std::string> init_data = std::nullopt;
  unsigned handshake_attempts = 5;
  std::chrono::milliseconds first_delay = std::chrono::seconds(1);  // doubles each time
  unsigned resource_attempts = 3;
  // A token that has less left is renewed.
  std::chrono::seconds token_margin = std::chrono::seconds(30);
};

// The world, for tests. Empty functions: the real one.
struct Environment {
  std::function<std::int64_t()> now = {};  // seconds since 1970
  std::function<void(std::chrono::milliseconds)> sleep = {};
};

// Where a handshake's time went.
struct HandshakeTimes {
  std::chrono::microseconds auth{}, evidence{}, attest{};
};

// Everything blocks. Not thread-safe.
class KbsClient {
 public:
  // `source` must outlive the client. Makes a key pair.
  [[nodiscard]] static Result<KbsClient> make(KbsSettings settings, EvidenceSource& source,
                                              Environment environment = {});
  // With the key pair given, of a former client's.
  [[nodiscard]] static Result<KbsClient> make_with_key(KbsSettings settings, EvidenceSource& source,
                                                       jose::PrivateKey key,
                                                       Environment environment = {});
  // Bearer mode with a token and the key that it binds; makes no handshakes.
  [[nodiscard]] static Result<KbsClient> make_with_token(KbsSettings settings, std::string token,
                                                         jose::PrivateKey key,
                                                         Environment environment = {});

  // A new handshake, tried `handshake_attempts` times when the broker cannot be reached, is
  // overloaded or has lost the session. Not tried again: a wrong certificate, a refused protocol
  // version, evidence that was appraised and refused (last_refusal() has the record's id).
  [[nodiscard]] Result<std::string> attest();
  // The token at hand, renewed when it is about to expire.
  [[nodiscard]] Result<std::string> token();
  // Decrypted. kNotFound and kPermissionDenied are the broker's final word; a lost session or an
  // expired token is renewed, at most `resource_attempts` times.
  [[nodiscard]] Result<SecretBytes> get_resource(const protocol::ResourceUri& uri);

  [[nodiscard]] const jose::PrivateKey& key() const { return key_; }
  // The broker's last reply other than 200; empty once something has succeeded.
  [[nodiscard]] const std::optional<Refusal>& last_refusal() const { return last_refusal_; }
  [[nodiscard]] const HandshakeTimes& last_times() const { return times_; }

 private:
  // A failure, and whether the same again may succeed.
  struct Failure {
    Error error;
    bool retry = false;
  };
  template <typename T>
  using Attempt = std::expected<T, Failure>;

  KbsClient(KbsSettings settings, EvidenceSource* source, jose::PrivateKey key, http::Client http,
            Environment environment);
  [[nodiscard]] static Result<KbsClient> build(KbsSettings settings, EvidenceSource* source,
                                               jose::PrivateKey key, Environment environment);

  [[nodiscard]] Attempt<std::string> handshake();
  [[nodiscard]] Attempt<std::string> make_attestation(const std::string& challenge);
  [[nodiscard]] Attempt<std::string> post(std::string_view action, std::string body);
  // Nothing: the session or token is no longer good.
  [[nodiscard]] Attempt<std::optional<std::string>> fetch(const std::string& url);
  [[nodiscard]] Attempt<http::Response> send(const http::Request& request);
  [[nodiscard]] Status adopt_token(std::string token);
  [[nodiscard]] Status ensure_session();
  [[nodiscard]] std::string url_of(std::string_view action) const;

  KbsSettings settings_;
  EvidenceSource* source_;
  jose::PrivateKey key_;
  http::Client http_;
  Environment environment_;
  std::string token_;
  std::int64_t token_expiry_ = 0;
  bool session_ = false;
  std::optional<Refusal> last_refusal_;
  HandshakeTimes times_;
};

}  // namespace coffer::client
