#include "attestation/service/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attestation/service/init_data_claims.h"
#include "attestation/service/unmet.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

// Names only: what was expected is the admin's to see.
std::string names_of_failed(const tee::Verdict& verdict) {
  std::string out;
  for (const auto& check : verdict.failed()) out += (out.empty() ? "" : ", ") + check.name;
  return out;
}

Json queries_of(const Appraisal& appraisal) {
  Json out = Json::array();
  for (const auto& query : appraisal.queries) {
    Json entry = {{"name", query.name}, {"finding", query.finding}};
    if (!query.value.empty()) entry["value"] = Json::parse(query.value, nullptr, false);
    for (const auto& claim : query.unmatched) {
      entry["unmatched"].push_back(Json::parse(claim, nullptr, false));
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Json missing_of(const Appraisal& appraisal) {
  Json out = Json::array();
  for (const auto& query : appraisal.queries) {
    if (query.finding == "found") continue;
    out.push_back(query.finding == "missing" ? query.name
                                             : fmt::format("{} ({})", query.name, query.finding));
  }
  return out;
}

// For the administrator: what was wanted and found, then what is not there at all.
std::string reason_of(const Submodule& part, const std::string& status) {
  std::vector<std::string> out;
  if (!status.empty()) out.push_back(status);
  if (auto details = unmet_details(part.appraisal); !details.empty()) {
    out.push_back(std::move(details));
  }
  if (const Json missing = missing_of(part.appraisal); !missing.empty()) {
    out.push_back("reference values not found: " + missing.dump());
  }
  return fmt::format("{}", fmt::join(out, "; "));
}

Json part_record(const Submodule& part) {
  return {{"name", part.name},
          {"policy", part.policy_id},
          {"status", part.appraisal.status},
          {"vector", part.appraisal.vector},
          {"reference_values", queries_of(part.appraisal)},
          {"missing_reference_values", missing_of(part.appraisal)},
          {"findings", part.appraisal.findings}};
}

// Trustee's form: the TEE's claims under its name, what every TEE has beside them.
Result<Json> policy_input(const Presented& presented, const Verified& verified) {
  Json out = {{std::string(protocol::tee_name(presented.tee)), verified.claims},
              {"report_data", verified.report_data},
              {"init_data", verified.init_data},
              {"runtime_data_claims", presented.report_data ? presented.runtime_data : Json()},
              {"init_data_claims", nullptr}};
  if (presented.init_data) {
    COFFER_TRY(out["init_data_claims"], init_data_claims(*presented.init_data));
  }
  return out;
}

std::vector<std::string> unchecked_of(const Presented& presented) {
  std::vector<std::string> out;
  if (!presented.report_data) out.emplace_back("report_data");
  if (!presented.init_data && !presented.init_data_digest) out.emplace_back("init_data");
  return out;
}

}  // namespace

Result<Outcome> AttestationService::attest(const Presented& presented, std::string_view policy_id,
                                           tee::UnixTime now) {
  Outcome outcome{
      .id = Records::new_id(now), .token = {}, .reason = {}, .status = {}, .emulated = false};
  Record record = {{"id", outcome.id},
                   {"time", tee::format_rfc3339(now)},
                   {"tee", protocol::tee_name(presented.tee)},
                   {"fresh", presented.fresh},
                   {"verified", false},
                   {"emulated", false},
                   {"outcome", "refused"},
                   {"checks", Json::array()},
                   {"parts", Json::array()}};
  const auto refused = [&](std::string reason, std::string detail) -> Result<Outcome> {
    outcome.reason = std::move(reason);
    record["reason"] = detail;
    COFFER_TRY_VOID(records_.save(outcome.id, record, now));
    return outcome;
  };
  EvidenceRequest request{.tee = presented.tee,
                          .evidence = presented.evidence,
                          .report_data = presented.report_data,
                          .init_data_digest = presented.init_data_digest};
  if (presented.init_data) {
    auto digest = init_data_digest(*presented.init_data);
    if (!digest)
      return refused("init data: " + digest.error().message(), digest.error().to_string());
    request.init_data_digest = *std::move(digest);
  }
  auto verified = verifier_.verify(request, now);
  // Nothing was found out: not a refusal, and asking again may help.
  if (!verified && verified.error().code() == Code::kUnavailable) {
    return fail(std::move(verified).error());
  }
  if (!verified) return refused(verified.error().message(), verified.error().to_string());
  const tee::Verdict& verdict = verified->verdict;
  outcome.emulated = verdict.emulated();
  record["checks"] = verdict.checks_json();
  record["claims"] = verified->claims;
  record["verified"] = verdict.verified();
  record["emulated"] = verdict.emulated();
  if (!verdict.verified()) {
    const std::string names = names_of_failed(verdict);
    return refused("the evidence does not verify: " + names, "failed checks: " + names);
  }
  return appraise(presented, policy_id, now, *std::move(verified), record, std::move(outcome));
}

Result<Outcome> AttestationService::appraise(const Presented& presented, std::string_view policy_id,
                                             tee::UnixTime now, Verified verified, Record& record,
                                             Outcome outcome) {
  const auto tee_class = protocol::tee_class(presented.tee);
  COFFER_TRY(Json input, policy_input(presented, verified));
  auto appraised = policies_.appraise(policy_id, tee_class, input, now);
  // What breaks a policy off, and where, is not for who presents evidence.
  if (!appraised && appraised.error().code() == Code::kResourceExhausted) {
    return fail(Code::kInternal, appraised.error().to_string());
  }
  COFFER_TRY(auto appraisal, std::move(appraised));
  Submodule part{.name = fmt::format("{}0", tee_class),
                 .policy_id = std::string(policy_id),
                 .appraisal = std::move(appraisal),
                 .evidence = std::move(input),
                 .emulated = outcome.emulated,
                 .unchecked = unchecked_of(presented)};
  outcome.status = part.appraisal.status;
  record["status"] = part.appraisal.status;
  record["parts"].push_back(part_record(part));
  record["reason"] = reason_of(part, "");
  if (presented.require_affirming && outcome.status != "affirming") {
    outcome.reason = describe_status(part.name, outcome.status, part.appraisal.vector);
    record["reason"] = reason_of(part, outcome.reason);
    outcome.reason += describe_unmet(unmet_names(part.appraisal));
    COFFER_TRY_VOID(records_.save(outcome.id, record, now));
    return outcome;
  }
  record["outcome"] = "token";
  COFFER_TRY(outcome.token, signer_.sign(token_claims({.attestation_id = outcome.id,
                                                       .submodules = {std::move(part)},
                                                       .now = now,
                                                       .fresh = presented.fresh},
                                                      signer_.settings())));
  COFFER_TRY_VOID(records_.save(outcome.id, record, now));
  return outcome;
}

}  // namespace coffer::appraisal
