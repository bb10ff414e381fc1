#include "attestation/service/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "attestation/jose/key_wrap.h"
#include "base/json.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpace = "attestation";
constexpr std::string_view kResourceSpace = "attestation_resource";
constexpr std::size_t kIdChars = 24;
constexpr std::size_t kTimeChars = 8;
constexpr std::size_t kMaxResources = 1000;

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

}  // namespace

std::string Records::new_id(tee::UnixTime now) {
  const auto random = jose::random_bytes((kIdChars - kTimeChars) / 2);
  check(random.has_value(), "no random bytes");
  return fmt::format("{:08x}{}", static_cast<std::uint32_t>(now), to_hex(*random));
}

Status Records::save(const std::string& id, const Record& record, tee::UnixTime now) {
  const std::string text = record.dump(-1, ' ', false, Json::error_handler_t::replace);
  COFFER_TRY([[maybe_unused]] const bool fresh,
             store_.insert(kSpace, key_of(id), as_bytes(text), now + keep_, store::Durable::kNo));
  return {};
}

Status Records::add_resource(std::string_view id, const Json& decision, tee::UnixTime now) {
  if (!is_id(id)) return {};  // a token of before records were kept
  const auto random = jose::random_bytes(6);
  check(random.has_value(), "no random bytes");
  const std::string key =
      fmt::format("{}/{:08x}{}", id, static_cast<std::uint32_t>(now), to_hex(*random));
  const std::string text = decision.dump(-1, ' ', false, Json::error_handler_t::replace);
  COFFER_TRY([[maybe_unused]] const bool fresh,
             store_.insert(kResourceSpace, key, as_bytes(text), now + keep_, store::Durable::kNo));
  return {};
}

Result<Record> Records::load(std::string_view id) {
  if (!is_id(id)) {
    return fail(Code::kInvalidArgument, fmt::format("find attestation '{}': no id", id));
  }
  COFFER_TRY(const auto entry, store_.get(kSpace, key_of(id)));
  if (!entry) return fail(Code::kNotFound, fmt::format("find attestation '{}': not kept", id));
  COFFER_TRY(Record record, read(*entry));
  record["resources"] = Json::array();
  COFFER_TRY(const auto listed,
             store_.list(kResourceSpace, std::string(id) + "/", "", kMaxResources));
  for (const auto& item : listed) {
    COFFER_TRY(const auto decision, store_.get(kResourceSpace, item.key));
    if (!decision) continue;
    COFFER_TRY(Json json, read(*decision));
    record["resources"].push_back(std::move(json));
  }
  return record;
}

Result<std::vector<Json>> Records::list(std::size_t limit) {
  COFFER_TRY(const auto listed, store_.list(kSpace, "", "", limit));
  std::vector<Json> out;
  for (const auto& item : listed) {
    COFFER_TRY(const auto entry, store_.get(kSpace, item.key));
    if (!entry) continue;
    COFFER_TRY(const Json record, read(*entry));
    Json line = Json::object();
    for (const char* key : {"id", "time", "tee", "emulated", "outcome", "reason", "status"}) {
      if (record.contains(key)) line[key] = record[key];
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace coffer::appraisal
