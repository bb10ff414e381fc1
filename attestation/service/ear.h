// Attestation tokens: EAR (EAT Attestation Result) claims in Trustee's profile, signed as a JWT.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "attestation/jose/key.h"
#include "attestation/service/policies.h"
#include "tee/utc_time.h"

namespace coffer::appraisal {

struct TokenSettings {
  std::string issuer = "CoCo-Attestation-Service";
  tee::UnixTime lifetime = 300;  // seconds
};

struct Submodule {
  std::string name;  // "cpu0"
  std::string policy_id;
  Appraisal appraisal;
  std::string evidence;  // annotated: {TEE: claims, "report_data", ...}, JSON text
  bool emulated = false;
  // What evidence binds and nobody compared, as the caller gave nothing to compare with:
  // "report_data", "init_data".
  std::vector<std::string> unchecked;
};

struct TokenContent {
  std::string attestation_id;
  std::vector<Submodule> submodules;
  tee::UnixTime now = 0;
  // The evidence answers a challenge of this service: it is not an old one, sent again.
  bool fresh = false;
};
// JSON text.
[[nodiscard]] std::string token_claims(const TokenContent& content, const TokenSettings& settings);

// Signs and verifies. Thread-safe.
class TokenSigner {
 public:
  // kInvalidArgument unless it is EC P-256: what Trustee's tokens are signed with.
  [[nodiscard]] static Result<TokenSigner> make(jose::PrivateKey key, TokenSettings settings);

  // The header has `kid` (RFC 7638) and, as Trustee's, the key itself as `jwk`.
  [[nodiscard]] Result<std::string> sign(std::string_view claims) const;
  // kUnauthenticated when another service signed it, or it has expired: the message says which.
  [[nodiscard]] Result<nlohmann::json> verify(std::string_view token, tee::UnixTime now) const;
  // {"keys": [...]}
  [[nodiscard]] const nlohmann::json& jwks() const { return jwks_; }
  [[nodiscard]] const TokenSettings& settings() const { return settings_; }

 private:
  TokenSigner(jose::PrivateKey key, TokenSettings settings)
      : key_(std::move(key)), settings_(std::move(settings)) {}

  jose::PrivateKey key_;
  TokenSettings settings_;
  std::string kid_, header_;  // the header encoded
  nlohmann::json jwks_;
};

// The token says that its evidence was fresh.
[[nodiscard]] bool is_fresh(const nlohmann::json& claims);
// Of a token's submodule that does not affirm: unmet_names().
[[nodiscard]] std::vector<std::string> unmet_of(const nlohmann::json& part);
// The guest's key that a token binds. kInvalidArgument when it has none.
[[nodiscard]] Result<nlohmann::json> tee_pubkey_of(const nlohmann::json& claims);

}  // namespace coffer::appraisal
