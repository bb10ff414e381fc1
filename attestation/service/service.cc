#include "attestation/service/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "attestation/service/init_data_claims.h"
#include "attestation/service/unmet.h"
#include "base/json.h"
#include "base/json_writer.h"

namespace coffer::appraisal {
namespace {

constexpr std::size_t kCheckBytes = 256;  // of one check's text, about

// Names only: what was expected is the admin's to see.
std::string names_of_failed(const tee::Verdict& verdict) {
  std::string out;
  for (const auto& check : verdict.failed()) out += (out.empty() ? "" : ", ") + check.name;
  return out;
}

void write_query(JsonWriter& out, const Query& query) {
  out.begin_object();
  out.key("name").text(query.name);
  out.key("finding").text(query.finding);
  if (!query.value.empty()) out.key("value").json(query.value);
  if (!query.unmatched.empty()) {
    out.key("unmatched").begin_array();
    for (const auto& claim : query.unmatched) out.json(claim);
    out.end_array();
  }
  out.end_object();
}

std::vector<std::string> missing_of(const Appraisal& appraisal) {
  std::vector<std::string> out;
  for (const auto& query : appraisal.queries) {
    if (query.finding == "found") continue;
    out.push_back(query.finding == "missing" ? query.name
                                             : fmt::format("{} ({})", query.name, query.finding));
  }
  return out;
}

std::string list_of(const std::vector<std::string>& texts) {
  JsonWriter out;
  out.begin_array();
  for (const auto& text : texts) out.text(text);
  return out.end_array().take();
}

// For the administrator: what was wanted and found, then what is not there at all.
std::string reason_of(const Submodule& part, const std::string& status) {
  std::vector<std::string> out;
  if (!status.empty()) out.push_back(status);
  if (auto details = unmet_details(part.appraisal); !details.empty()) {
    out.push_back(std::move(details));
  }
  if (const auto missing = missing_of(part.appraisal); !missing.empty()) {
    out.push_back("reference values not found: " + list_of(missing));
  }
  return fmt::format("{}", fmt::join(out, "; "));
}

// A list of one.
std::string parts_of(const Submodule& part) {
  JsonWriter out;
  out.begin_array().begin_object();
  out.key("name").text(part.name);
  out.key("policy").text(part.policy_id);
  out.key("status").text(part.appraisal.status);
  out.key("vector").begin_object();
  for (const auto& [name, value] : part.appraisal.vector) out.key(name).integer(value);
  out.end_object();
  out.key("reference_values").begin_array();
  for (const auto& query : part.appraisal.queries) write_query(out, query);
  out.end_array();
  out.key("missing_reference_values").json(list_of(missing_of(part.appraisal)));
  out.key("findings").json(list_of(part.appraisal.findings));
  return out.end_object().end_array().take();
}

// Trustee's form: the TEE's claims under its name, what every TEE has beside them.
Result<std::string> policy_input(const Presented& presented, const Verified& verified,
                                 std::string_view claims) {
  constexpr std::size_t kOthers = 2048;
  JsonWriter out(claims.size() + kOthers);
  out.begin_object();
  out.key(protocol::tee_name(presented.tee)).json(claims);
  out.key("report_data").text(verified.report_data);
  out.key("init_data").text(verified.init_data);
  out.key("runtime_data_claims")
      .tree(presented.report_data ? presented.runtime_data : nlohmann::json());
  out.key("init_data_claims");
  if (presented.init_data) {
    COFFER_TRY(const auto init_data, init_data_claims(*presented.init_data));
    out.tree(init_data);
  } else {
    out.json("null");
  }
  return out.end_object().take();
}

std::vector<std::string> unchecked_of(const Presented& presented) {
  std::vector<std::string> out;
  if (!presented.report_data) out.emplace_back("report_data");
  if (!presented.init_data && !presented.init_data_digest) out.emplace_back("init_data");
  return out;
}

}  // namespace

Result<Outcome> AttestationService::attest(const Presented& presented, std::string_view policy_id,
                                           tee::UnixTime now, const Keeper& keeper) {
  Outcome outcome{
      .id = Records::new_id(now), .token = {}, .reason = {}, .status = {}, .emulated = false};
  Draft draft{.id = outcome.id,
              .time = now,
              .tee = std::string(protocol::tee_name(presented.tee)),
              .fresh = presented.fresh};
  const auto refused = [&](std::string reason, std::string detail) -> Result<Outcome> {
    outcome.reason = std::move(reason);
    draft.reason = std::move(detail);
    COFFER_TRY_VOID(records_.save(draft, now));
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
  JsonWriter checks(verdict.checks().size() * kCheckBytes);
  verdict.write_checks(checks);
  draft.checks = checks.take();
  draft.claims = dump_json(verified->claims);
  draft.verified = verdict.verified();
  draft.emulated = verdict.emulated();
  if (!verdict.verified()) {
    const std::string names = names_of_failed(verdict);
    return refused("the evidence does not verify: " + names, "failed checks: " + names);
  }
  return appraise(presented, policy_id, now, keeper, *verified, draft, std::move(outcome));
}

Result<Outcome> AttestationService::appraise(const Presented& presented, std::string_view policy_id,
                                             tee::UnixTime now, const Keeper& keeper,
                                             const Verified& verified, Draft& draft,
                                             Outcome outcome) {
  const auto tee_class = protocol::tee_class(presented.tee);
  COFFER_TRY(std::string input, policy_input(presented, verified, draft.claims));
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
  draft.status = part.appraisal.status;
  draft.parts = parts_of(part);
  draft.reason = reason_of(part, "");
  if (presented.require_affirming && outcome.status != "affirming") {
    outcome.reason = describe_status(part.name, outcome.status, part.appraisal.vector);
    draft.reason = reason_of(part, outcome.reason);
    outcome.reason += describe_unmet(unmet_names(part.appraisal));
    COFFER_TRY_VOID(records_.save(draft, now));
    return outcome;
  }
  TokenContent content{
      .attestation_id = outcome.id, .submodules = {}, .now = now, .fresh = presented.fresh};
  // Not by a braced list, which copies.
  content.submodules.push_back(std::move(part));
  COFFER_TRY(outcome.token, signer_.sign(token_claims(content, signer_.settings())));
  draft.token = true;
  return conclude(now, keeper, draft, std::move(outcome));
}

Result<Outcome> AttestationService::conclude(tee::UnixTime now, const Keeper& keeper, Draft& draft,
                                             Outcome outcome) {
  const auto refuse = [&](const std::string& reason) {
    outcome.token.clear();
    draft.token = false;
    draft.reason = reason;
    return records_.save(draft, now);
  };
  auto keep = keeper ? keeper(outcome) : Keep();
  if (!keep) {
    COFFER_TRY_VOID(refuse(keep.error().to_string()));
    return fail(std::move(keep).error());
  }
  COFFER_TRY(const bool kept, records_.save_with(draft, now, std::move(keep->writes)));
  if (kept) return outcome;
  outcome.reason = keep->otherwise;
  COFFER_TRY_VOID(refuse(keep->otherwise));
  return outcome;
}

}  // namespace coffer::appraisal
