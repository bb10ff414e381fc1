#include "attestation/kbs/admin_auth.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attestation/jose/jws.h"
#include "base/json.h"

namespace coffer::kbs {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxToken = 16384;

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::kUnauthenticated, "authenticate administrator: " + std::move(why));
}

bool has_audience(const Json& claims) {
  const auto at = claims.find("aud");
  if (at == claims.end()) return false;
  if (at->is_string()) return *at == kAdminAudience;
  return at->is_array() && std::ranges::find(*at, Json(kAdminAudience)) != at->end();
}

}  // namespace

Result<std::string> AdminAuth::check(std::string_view token, std::int64_t now) const {
  if (keys_.empty()) return refuse("the configuration names no admin.public_keys");
  if (token.empty()) return refuse("there is no 'Authorization: Bearer' header");
  const auto jws = jose::parse_jws(token, kMaxToken);
  if (!jws) return refuse(jws.error().message());
  const bool ours = std::ranges::any_of(
      keys_, [&](const auto& key) { return jose::verify_jws(*jws, key).has_value(); });
  if (!ours) return refuse("no key of admin.public_keys has signed the token");
  const auto claims = parse_json(jws->payload, "admin token");
  if (!claims || !claims->is_object()) return refuse("the token's claims are no object");
  if (const auto status = jose::check_token_times(*claims, now); !status) {
    return refuse(status.error().message());
  }
  if (!has_audience(*claims)) return refuse("the token's 'aud' has no \"KBS\"");
  if (claims->value("role", Json()) != kAdminRole) {
    return refuse("the token's 'role' is not \"admin\"");
  }
  const Json name = claims->value("sub", Json());
  return name.is_string() ? name.get<std::string>() : std::string("admin");
}

Result<std::string> make_admin_token(const jose::PrivateKey& key, std::string_view name,
                                     std::int64_t now, std::int64_t lifetime) {
  const Json claims = {{"iss", "coffer"},    {"sub", name}, {"aud", {kAdminAudience}},
                       {"role", kAdminRole}, {"iat", now},  {"exp", now + lifetime}};
  return jose::sign_jws(key, {{"typ", "JWT"}}, claims.dump());
}

}  // namespace coffer::kbs
