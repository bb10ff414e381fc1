#include "attestation/service/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "attestation/jose/key_wrap.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "tee/digest.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpace = "attestation";
constexpr std::string_view kRefusedSpace = "attestation_refused";  // and not affirmed
constexpr std::string_view kResourceSpace = "attestation_resource";
constexpr std::string_view kRefusedResourceSpace = "attestation_resource_refused";
constexpr std::size_t kIdChars = 24;
constexpr std::size_t kTimeChars = 8;
constexpr std::size_t kMaxResources = 128;  // of one attestation, allowed ones or others
constexpr std::size_t kPathChars = 32;      // of the digest of a path: 128 bits
constexpr std::size_t kMaxRecordBytes = std::size_t{256} << 10U;
constexpr std::size_t kMaxRefusedBytes = std::size_t{64} << 10U;
constexpr std::size_t kMaxReasonBytes = 4096;
constexpr std::size_t kSlack = 32;         // the limit is looked after this often in its course
constexpr std::size_t kRefusedShare = 10;  // a tenth
// Entries of "resources" for each record, on average.
constexpr std::size_t kResourcesEach = 4;

bool is_id(std::string_view id) {
  return id.size() == kIdChars && std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Later ones sort first.
std::string key_of(std::string_view id) {
  std::string out;
  for (const char c : id.substr(0, kTimeChars)) {
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    out += "0123456789abcdef"[15 - digit];
  }
  return out + "/" + std::string(id);
}

Result<Json> read(const store::Entry& entry) {
  return parse_json(as_text(entry.value), "an attestation record");
}

enum class Share : std::uint8_t { kWhole, kWithoutClaims, kReason };

std::string text_of(const Draft& draft, Share share, std::string_view note) {
  constexpr std::size_t kOthers = 1024;
  const bool lists = share != Share::kReason;
  JsonWriter out(draft.checks.size() + draft.claims.size() + draft.parts.size() + kOthers);
  out.begin_object();
  out.key("id").text(draft.id);
  out.key("time").text(tee::format_rfc3339(draft.time));
  out.key("tee").text(draft.tee);
  out.key("fresh").boolean(draft.fresh);
  out.key("verified").boolean(draft.verified);
  out.key("emulated").boolean(draft.emulated);
  out.key("outcome").text(draft.token ? "token" : "refused");
  out.key("reason").text(lists ? draft.reason : draft.reason.substr(0, kMaxReasonBytes));
  if (!draft.status.empty()) out.key("status").text(draft.status);
  if (share == Share::kWithoutClaims) out.key("claims").text(note);
  if (share == Share::kReason) out.key("note").text(note);
  if (share == Share::kWhole && !draft.claims.empty()) out.key("claims").json(draft.claims);
  out.key("checks").json(lists ? std::string_view(draft.checks) : "[]");
  out.key("parts").json(lists ? std::string_view(draft.parts) : "[]");
  out.end_object();
  return out.take();
}

// What is dropped is the evidence's own: how much of it there is, a stranger decides.
std::string bounded_text(const Draft& draft, std::size_t most) {
  std::string text = text_of(draft, Share::kWhole, "");
  if (text.size() <= most) return text;
  const std::string note =
      fmt::format("left out: the record has {} bytes, at most {} are kept", text.size(), most);
  text = text_of(draft, Share::kWithoutClaims, note);
  if (text.size() <= most) return text;
  return text_of(draft, Share::kReason, note);
}

}  // namespace

std::string Records::new_id(tee::UnixTime now) {
  const auto random = jose::random_bytes((kIdChars - kTimeChars) / 2);
  check(random.has_value(), "no random bytes");
  return fmt::format("{:08x}{}", static_cast<std::uint32_t>(now), to_hex(*random));
}

Status Records::enforce_limit() {
  COFFER_TRY(const std::size_t kept, store_.count(kSpace));
  COFFER_TRY(const std::size_t refused, store_.count(kRefusedSpace));
  if (kept + refused > limit_) {
    const std::size_t room = limit_ > kept ? limit_ - kept : 0;
    const std::size_t refused_stay = std::min(refused, std::max(room, limit_ / kRefusedShare));
    COFFER_TRY([[maybe_unused]] const std::size_t gone, store_.trim(kRefusedSpace, refused_stay));
    COFFER_TRY([[maybe_unused]] const std::size_t old, store_.trim(kSpace, limit_ - refused_stay));
  }
  const std::size_t most = limit_ * kResourcesEach;
  COFFER_TRY([[maybe_unused]] const std::size_t reads, store_.trim(kResourceSpace, most));
  COFFER_TRY([[maybe_unused]] const std::size_t others,
             store_.trim(kRefusedResourceSpace, most / kRefusedShare));
  return {};
}

Status Records::save(const Draft& draft, tee::UnixTime now) {
  COFFER_TRY([[maybe_unused]] const bool done, save_with(draft, now, {}));
  return {};
}

Result<bool> Records::save_with(const Draft& draft, tee::UnixTime now,
                                std::vector<store::Write> writes) {
  const bool affirmed = draft.token && draft.status == "affirming";
  const std::string text = bounded_text(draft, draft.token ? kMaxRecordBytes : kMaxRefusedBytes);
  // Last, after all conditions: a record is many pages.
  writes.push_back({.space = std::string(affirmed ? kSpace : kRefusedSpace),
                    .key = key_of(draft.id),
                    .value = to_bytes(text),
                    .expires = now + keep_});
  COFFER_TRY(const bool done, store_.commit(writes, store::Durable::kNo));
  if (!done) return false;
  if (saved_.fetch_add(1) % std::max<std::size_t>(limit_ / kSlack, 1) == 0) {
    COFFER_TRY_VOID(enforce_limit());
  }
  return true;
}

Status Records::add_resource(std::string_view id, const Json& decision, bool affirmed,
                             tee::UnixTime now) {
  if (!is_id(id)) return {};  // a token of before records were kept
  const std::string_view space = affirmed ? kResourceSpace : kRefusedResourceSpace;
  // Below the attestation's own key, so that the oldest stand last. What was allowed has room of
  // its own: no number of refused requests hides it.
  const std::string prefix =
      fmt::format("{}/{}/", key_of(id), decision.value("allowed", Json()) == true ? "a" : "d");
  const auto digest = tee::sha256(as_bytes(decision.value("path", Json()).dump()));
  store::Write write{.space = std::string(space),
                     .key = prefix + to_hex(digest).substr(0, kPathChars)};
  COFFER_TRY(const auto others, store_.list(space, prefix, "", kMaxResources));
  Json entry = decision;
  if (others.size() >= kMaxResources &&
      std::ranges::find(others, write.key, &store::Listed::key) == others.end()) {
    write.key = prefix + "more";
    entry["note"] = fmt::format("of more than {} paths, only the latest is kept", kMaxResources);
  }
  write.value = to_bytes(dump_json(entry));
  write.expires = now + keep_;
  COFFER_TRY([[maybe_unused]] const bool done, store_.commit({&write, 1}, store::Durable::kNo));
  return {};
}

Result<Record> Records::load(std::string_view id) {
  if (!is_id(id)) {
    return fail(Code::kInvalidArgument, fmt::format("find attestation '{}': no id", id));
  }
  COFFER_TRY(auto entry, store_.get(kSpace, key_of(id)));
  if (!entry) {
    COFFER_TRY(entry, store_.get(kRefusedSpace, key_of(id)));
  }
  if (!entry) return fail(Code::kNotFound, fmt::format("find attestation '{}': not kept", id));
  COFFER_TRY(Record record, read(*entry));
  record["resources"] = Json::array();
  constexpr std::size_t kMost = 2 * (kMaxResources + 1);
  for (const auto space : {kResourceSpace, kRefusedResourceSpace}) {
    COFFER_TRY(const auto listed, store_.list(space, key_of(id) + "/", "", kMost));
    for (const auto& item : listed) {
      COFFER_TRY(const auto decision, store_.get(space, item.key));
      if (!decision) continue;
      COFFER_TRY(Json json, read(*decision));
      record["resources"].push_back(std::move(json));
    }
  }
  return record;
}

Result<std::vector<Json>> Records::list(std::size_t limit) {
  std::vector<std::pair<std::string, std::string_view>> keys;
  for (const auto space : {kSpace, kRefusedSpace}) {
    COFFER_TRY(const auto listed, store_.list(space, "", "", limit));
    for (const auto& item : listed) keys.emplace_back(item.key, space);
  }
  std::ranges::sort(keys);
  keys.resize(std::min(keys.size(), limit));
  std::vector<Json> out;
  for (const auto& [key, space] : keys) {
    COFFER_TRY(const auto entry, store_.get(space, key));
    if (!entry) continue;
    COFFER_TRY(const Json record, read(*entry));
    Json line = Json::object();
    for (const char* name : {"id", "time", "tee", "emulated", "outcome", "reason", "status"}) {
      if (record.contains(name)) line[name] = record[name];
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace coffer::appraisal
