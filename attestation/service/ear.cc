#include "attestation/service/ear.h"

#include <fmt/format.h>

#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/service/unmet.h"
#include "base/json.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kProfile = "tag:github.com,2024:confidential-containers/Trustee";
constexpr std::string_view kFresh = "ear.coffer.fresh";
constexpr std::string_view kUnmet = "ear.coffer.unmet";
constexpr std::size_t kMaxTokenBytes = std::size_t{1} << 20U;

Json submodule_claims(const Submodule& part) {
  // First, so that nothing of them stands over what follows.
  Json out = part.appraisal.extensions.is_object() ? part.appraisal.extensions : Json::object();
  out["ear.status"] = part.appraisal.status;
  out["ear.trustworthiness-vector"] = part.appraisal.vector;
  out["ear.appraisal-policy-id"] = part.policy_id;
  out["ear.veraison.annotated-evidence"] = part.evidence;
  // Ours: no hardware stands behind it.
  if (part.emulated) out["ear.coffer.emulated"] = true;
  if (!part.unchecked.empty()) out["ear.coffer.unchecked"] = part.unchecked;
  if (auto names = unmet_names(part.appraisal); !names.empty()) {
    out[kUnmet] = std::move(names);
  }
  return out;
}

}  // namespace

Json token_claims(const TokenContent& content, const TokenSettings& settings) {
  Json submods = Json::object();
  for (const auto& part : content.submodules) submods[part.name] = submodule_claims(part);
  return {{"eat_profile", kProfile},
          {"iss", settings.issuer},
          {"iat", content.now},
          {"exp", content.now + settings.lifetime},
          {"jti", content.attestation_id},
          {"ear.verifier-id",
           {{"developer", "https://confidentialcontainers.org"},
            {"build", "coffer-kbs " COFFER_VERSION}}},
          {kFresh, content.fresh},
          {"submods", std::move(submods)}};
}

Result<TokenSigner> TokenSigner::make(jose::PrivateKey key, TokenSettings settings) {
  if (key.type() != jose::KeyType::kEcP256) {
    return fail(Code::kInvalidArgument, fmt::format("use token signing key: want EC P-256, got {}",
                                                    jose::key_type_name(key.type())));
  }
  TokenSigner out(std::move(key), std::move(settings));
  COFFER_TRY(out.kid_, jose::jwk_thumbprint(out.key_.public_key()));
  COFFER_TRY(out.jwk_, jose::to_jwk(out.key_.public_key()));
  out.jwk_["alg"] = "ES256";
  out.jwk_["kid"] = out.kid_;
  Json published = out.jwk_;
  published["use"] = "sig";
  out.jwks_ = {{"keys", Json::array({std::move(published)})}};
  return out;
}

Result<std::string> TokenSigner::sign(const Json& claims) const {
  return jose::sign_jws(key_, {{"typ", "JWT"}, {"kid", kid_}, {"jwk", jwk_}}, dump_json(claims));
}

Result<Json> TokenSigner::verify(std::string_view token, tee::UnixTime now) const {
  COFFER_TRY(const auto jws, jose::parse_jws(token, kMaxTokenBytes));
  if (const auto status = jose::verify_jws(jws, key_.public_key()); !status) {
    return fail(Code::kUnauthenticated,
                fmt::format("verify token: it is not one of this service (its key is '{}', ours "
                            "'{}'): {}",
                            jws.kid.empty() ? "unnamed" : jws.kid, kid_, status.error().message()));
  }
  COFFER_TRY(Json claims, parse_json(jws.payload, "token"));
  COFFER_TRY_VOID(jose::check_token_times(claims, now, {.leeway_seconds = 0}));
  if (!claims.contains("iss") || claims["iss"] != settings_.issuer) {
    return fail(Code::kUnauthenticated, "verify token: it is another issuer's");
  }
  return claims;
}

std::vector<std::string> unmet_of(const Json& part) {
  std::vector<std::string> out;
  const auto at = part.find(kUnmet);
  if (at == part.end() || !at->is_array()) return out;
  for (const auto& name : *at) {
    if (name.is_string()) out.push_back(name.get<std::string>());
  }
  return out;
}

bool is_fresh(const Json& claims) {
  const auto at = claims.find(kFresh);
  return at != claims.end() && *at == true;
}

Result<Json> tee_pubkey_of(const Json& claims) {
  static const Json::json_pointer kPath(
      "/submods/cpu0/ear.veraison.annotated-evidence/runtime_data_claims/tee-pubkey");
  if (claims.contains(kPath)) return claims.at(kPath);
  return fail(Code::kInvalidArgument, "read token: it binds no key of a guest");
}

}  // namespace coffer::appraisal
