#include "attestation/service/ear.h"

#include <fmt/format.h>

#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/service/unmet.h"
#include "base/json.h"
#include "base/json_writer.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kProfile = "tag:github.com,2024:confidential-containers/Trustee";
constexpr std::string_view kFresh = "ear.coffer.fresh";
constexpr std::string_view kUnmet = "ear.coffer.unmet";
constexpr std::size_t kMaxTokenBytes = std::size_t{1} << 20U;

std::string text_of(std::string_view text) { return JsonWriter().text(text).take(); }

std::string list_of(const std::vector<std::string>& texts) {
  JsonWriter out;
  out.begin_array();
  for (const auto& text : texts) out.text(text);
  return out.end_array().take();
}

std::string vector_of(const std::map<std::string, int>& vector) {
  JsonWriter out;
  out.begin_object();
  for (const auto& [name, value] : vector) out.key(name).integer(value);
  return out.end_object().take();
}

void write_submodule(JsonWriter& out, const Submodule& part) {
  // First, so that nothing of them stands over what follows.
  std::map<std::string, std::string> members = part.appraisal.extensions;
  members.insert_or_assign("ear.status", text_of(part.appraisal.status));
  members.insert_or_assign("ear.trustworthiness-vector", vector_of(part.appraisal.vector));
  members.insert_or_assign("ear.appraisal-policy-id", text_of(part.policy_id));
  members.insert_or_assign("ear.veraison.annotated-evidence", part.evidence);
  // Ours: no hardware stands behind it.
  if (part.emulated) members.insert_or_assign("ear.coffer.emulated", "true");
  if (!part.unchecked.empty()) {
    members.insert_or_assign("ear.coffer.unchecked", list_of(part.unchecked));
  }
  if (const auto names = unmet_names(part.appraisal); !names.empty()) {
    members.insert_or_assign(std::string(kUnmet), list_of(names));
  }
  out.begin_object();
  for (const auto& [name, json] : members) out.key(name).json(json);
  out.end_object();
}

}  // namespace

std::string token_claims(const TokenContent& content, const TokenSettings& settings) {
  constexpr std::size_t kOthers = 2048;
  std::size_t evidence = 0;
  for (const auto& part : content.submodules) evidence += part.evidence.size();
  JsonWriter out(evidence + kOthers);
  out.begin_object();
  out.key("eat_profile").text(kProfile);
  out.key("iss").text(settings.issuer);
  out.key("iat").integer(content.now);
  out.key("exp").integer(content.now + settings.lifetime);
  out.key("jti").text(content.attestation_id);
  out.key("ear.verifier-id").begin_object();
  out.key("developer").text("https://confidentialcontainers.org");
  out.key("build").text("coffer-kbs " COFFER_VERSION);
  out.end_object();
  out.key(kFresh).boolean(content.fresh);
  out.key("submods").begin_object();
  for (const auto& part : content.submodules) write_submodule(out.key(part.name), part);
  out.end_object();
  out.end_object();
  return out.take();
}

Result<TokenSigner> TokenSigner::make(jose::PrivateKey key, TokenSettings settings) {
  if (key.type() != jose::KeyType::kEcP256) {
    return fail(Code::kInvalidArgument, fmt::format("use token signing key: want EC P-256, got {}",
                                                    jose::key_type_name(key.type())));
  }
  TokenSigner out(std::move(key), std::move(settings));
  COFFER_TRY(out.kid_, jose::jwk_thumbprint(out.key_.public_key()));
  COFFER_TRY(Json jwk, jose::to_jwk(out.key_.public_key()));
  jwk["alg"] = "ES256";
  jwk["kid"] = out.kid_;
  COFFER_TRY(out.header_,
             jose::encode_header(out.key_, {{"typ", "JWT"}, {"kid", out.kid_}, {"jwk", jwk}}));
  jwk["use"] = "sig";
  out.jwks_ = {{"keys", Json::array({std::move(jwk)})}};
  return out;
}

Result<std::string> TokenSigner::sign(std::string_view claims) const {
  return jose::sign_encoded(key_, header_, claims);
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
