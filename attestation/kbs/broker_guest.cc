#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "attestation/jose/jwe.h"
#include "attestation/jose/jwk.h"
#include "attestation/kbs/broker.h"
#include "attestation/protocol/report_data.h"
#include "attestation/protocol/resource_path.h"
#include "attestation/service/unmet.h"
#include "base/json.h"
#include "base/secret.h"

namespace coffer::kbs {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kResources = "repository";

std::string tee_label(protocol::Tee tee) {
  return fmt::format("{{tee_type=\"{}\"}}", protocol::tee_name(tee));
}

// RFC 7231 section 7.1.1.1.
std::string http_date(store::UnixTime time) {
  const std::time_t seconds = time;
  std::tm fields = {};
  gmtime_r(&seconds, &fields);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &fields);
  return std::string(text, size);
}

std::map<std::string, int> vector_of(const Json& part) {
  std::map<std::string, int> out;
  const auto at = part.find("ear.trustworthiness-vector");
  if (at == part.end() || !at->is_object()) return out;
  for (const auto& [name, value] : at->items()) {
    if (value.is_number_integer()) out.emplace(name, value.get<int>());
  }
  return out;
}

// Every part of it, as one line for the guest: what is wrong shows in the record.
std::string statuses(const Json& claims) {
  std::string out;
  if (!claims.contains("submods")) return out;
  for (const auto& [name, part] : claims["submods"].items()) {
    if (!part.is_object() || !part.contains("ear.status")) continue;
    const Json& status = part["ear.status"];
    if (!status.is_string()) continue;
    out += out.empty() ? "" : ", ";
    out += appraisal::describe_status(name, status.get<std::string>(), vector_of(part));
    out += appraisal::describe_unmet(appraisal::unmet_of(part));
  }
  return out;
}

// As the default policy for resources has it: every part of the token affirms.
bool is_affirming(const Json& claims) {
  const auto parts = claims.find("submods");
  return parts != claims.end() && parts->is_object() && !parts->empty() &&
         std::ranges::all_of(*parts, [](const Json& part) {
           return part.is_object() && part.value("ear.status", Json()) == "affirming";
         });
}

std::string attestation_of(const Json& claims) {
  const auto at = claims.find("jti");
  return at != claims.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

std::string Broker::cookie(const Session& session) const {
  return fmt::format("{}={}; Path=/; Expires={}; HttpOnly; SameSite=Strict{}",
                     protocol::kSessionCookie, parts_.sessions.seal(session),
                     http_date(session.expires), parts_.secure_cookie ? "; Secure" : "");
}

HttpReply Broker::auth(const HttpRequest& request) {
  parts_.metrics.count("kbs_auth_requests_total");
  const auto refused = [&](HttpReply reply) {
    parts_.metrics.count("kbs_auth_errors_total");
    return reply;
  };
  const auto message = protocol::parse_request(request.body);
  if (!message) return refused(error_reply("AttestationError", message.error()));
  if (const auto status = protocol::check_version(message->version); !status) {
    auto error = protocol::make_error("AttestationError", status.error().to_string());
    error.supported_versions = {std::string(protocol::kProtocolVersion)};
    return refused({.status = 401, .body = protocol::serialise(error), .cause = error.detail});
  }
  const Session session = parts_.sessions.begin(message->tee, parts_.clock());
  parts_.metrics.count("kbs_auth_successes_total");
  HttpReply reply{.body = protocol::serialise(protocol::Challenge{.nonce = session.nonce})};
  reply.set_cookie = cookie(session);
  return reply;
}

HttpReply Broker::attest(const HttpRequest& request) {
  parts_.metrics.count("kbs_attestation_requests_total");
  const auto session =
      parts_.sessions.unseal(request.cookie_named(protocol::kSessionCookie), parts_.clock());
  if (!session) return error_reply("AttestationError", session.error());
  auto message = protocol::parse_attestation(request.body);
  if (!message) return error_reply("AttestationError", message.error());
  if (message->nonce != session->nonce) {
    return error_reply(401, "AttestationError",
                       "attest: the runtime data's nonce is not the one of this session");
  }
  const auto spent = parts_.sessions.token(*session);
  if (!spent) return guest_reply("AttestationError", spent.error());
  if (*spent) {
    return error_reply(401, "AttestationError",
                       "attest: this challenge was answered before (a replay?): a challenge is "
                       "good for one attestation, POST auth gives another");
  }
  return evaluate(*session, *std::move(message));
}

HttpReply Broker::evaluate(const Session& session, protocol::Attestation message) {
  const auto label = tee_label(session.tee);
  const auto refused = [&](HttpReply reply) {
    parts_.metrics.count("kbs_attestation_failures_total", label);
    return reply;
  };
  const auto key = jose::parse_tee_pubkey(message.tee_pubkey);
  if (!key) return refused(error_reply("AttestationError", key.error()));
  if (!message.additional_evidence.empty() && message.additional_evidence != "{}") {
    return refused(error_reply(401, "AttestationError",
                               "attest: evidence of devices is not supported by this broker"));
  }
  appraisal::Presented presented{.tee = session.tee,
                                 .evidence = std::move(message.primary_evidence),
                                 .fresh = true,
                                 .require_affirming = parts_.require_affirming};
  auto report_data =
      protocol::primary_report_data(message.nonce, message.tee_pubkey, message.additional_evidence);
  if (!report_data) return refused(error_reply("AttestationError", report_data.error()));
  presented.report_data = *std::move(report_data);
  presented.runtime_data = protocol::primary_runtime_data(message.nonce, message.tee_pubkey,
                                                          message.additional_evidence);
  if (message.init_data) {
    if (message.init_data->format != "toml") {
      return refused(error_reply(400, "AttestationError", "attest: init data is not 'toml'"));
    }
    presented.init_data = message.init_data->body;
  }
  const auto spend = [&](const appraisal::Outcome& found) -> Result<appraisal::Keep> {
    const auto standing = found.status == "affirming" ? Standing::kAffirmed : Standing::kOther;
    COFFER_TRY(auto writes, parts_.sessions.spend(session, found.token, standing, parts_.clock()));
    return appraisal::Keep{.writes = std::move(writes),
                           .otherwise = "this challenge was answered before (a replay?)"};
  };
  const auto outcome = parts_.service.attest(presented, parts_.policy_id, parts_.clock(), spend);
  if (!outcome) {
    parts_.metrics.count("kbs_attestation_errors_total");
    return guest_reply("AttestationError", outcome.error());
  }
  if (outcome->token.empty()) {
    // The challenge is not spent now: to answer it again is to be refused again.
    return refused(error_reply(
        401, "AttestationError",
        fmt::format("attestation {} refused: {}", outcome->id, outcome->reason), outcome->id));
  }
  parts_.metrics.count("kbs_attestation_successes_total", label);
  HttpReply reply{.body = protocol::serialise(protocol::Response{.token = outcome->token})};
  reply.set_cookie = cookie(session);
  return reply;
}

// The session's token, or the bearer's; as Trustee, in that order.
Result<std::string> Broker::token_of(const HttpRequest& request) {
  const auto value = request.cookie_named(protocol::kSessionCookie);
  std::string why = "get resource: there is neither a session nor a bearer token: attest first";
  if (!value.empty()) {
    const auto session = parts_.sessions.unseal(value, parts_.clock());
    if (session) {
      COFFER_TRY(const auto token, parts_.sessions.token(*session));
      if (token && !token->empty()) return *token;
      why = "get resource: the session has not attested";
    } else {
      why = session.error().to_string();
    }
  }
  if (request.bearer().empty()) return fail(Code::kUnauthenticated, why);
  return std::string(request.bearer());
}

HttpReply Broker::get_resource(const HttpRequest& request, const Segments& segments) {
  const auto token = token_of(request);
  if (!token) return guest_reply("TokenNotFound", token.error());
  const auto claims = parts_.signer.verify(*token, parts_.clock());
  if (!claims) {
    return error_reply(401, "TokenVerifierError", claims.error().to_string());
  }
  if (!appraisal::is_fresh(*claims)) {
    return error_reply(401, "TokenVerifierError",
                       "get resource: the token is of the attestation service's port, where nobody "
                       "sees to it that evidence is fresh: attest with POST auth and attest");
  }
  const Segments parts(segments.begin() + 1, segments.end());
  const auto path = protocol::parse_resource_path(fmt::format("{}", fmt::join(parts, "/")));
  if (!path) return error_reply(404, "InvalidRequestPath", path.error().to_string());
  const auto decision = parts_.policies.decide(*claims, "resource", parts, request.query());
  parts_.metrics.count("kbs_policy_evaluations_total");
  if (!decision) {
    parts_.metrics.count("kbs_policy_errors_total");
    return guest_reply("PolicyEngineError", Error(Code::kInternal, decision.error().to_string()));
  }
  const auto id = attestation_of(*claims);
  const Json entry = {{"time", tee::format_rfc3339(parts_.clock())},
                      {"path", path->to_string()},
                      {"allowed", decision->allowed},
                      {"reason", decision->reason}};
  const auto kept = parts_.records.add_resource(id, entry, is_affirming(*claims), parts_.clock());
  if (!kept) return guest_reply("PluginInternalError", kept.error());
  if (decision->allowed) {
    parts_.metrics.count("kbs_policy_approvals_total");
    return release(*claims, path->to_string());
  }
  parts_.metrics.count("kbs_policy_violations_total");
  return error_reply(
      403, "PolicyDeny",
      fmt::format("Access denied by policy: {} (attestation {})", statuses(*claims), id), id);
}

HttpReply Broker::release(const Json& claims, const std::string& path) {
  auto entry = parts_.store.get(kResources, path);
  if (!entry) return guest_reply("PluginInternalError", entry.error());
  if (!*entry) {
    return error_reply(404, "PluginInternalError",
                       fmt::format("get resource '{}': there is none", path));
  }
  const SecretBytes secret(std::move((*entry)->value));
  const auto jwk = appraisal::tee_pubkey_of(claims);
  if (!jwk) return error_reply(401, "TokenVerifierError", jwk.error().to_string());
  const auto key = jose::parse_tee_pubkey(*jwk);
  if (!key) return error_reply(401, "TokenVerifierError", key.error().to_string());
  const auto jwe = jose::encrypt_jwe(*key, secret.view());
  if (!jwe) return error_reply(500, "JweError", jwe.error().to_string());
  parts_.metrics.count("kbs_resource_reads_total");
  return {.body = jose::serialise_jwe(*jwe)};
}

}  // namespace coffer::kbs
