#include "attestation/reference_values/reference_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace coffer::rv {
namespace {

using Json = nlohmann::json;

Result<std::string> text_of(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) {
    return fail(Code::kDataLoss, fmt::format("read reference value: '{}' is no string", key));
  }
  return at->get<std::string>();
}

Result<tee::UnixTime> time_of(const Json& object, const char* key) {
  COFFER_TRY(const std::string text, text_of(object, key));
  return tee::parse_rfc3339(text);
}

Result<Provenance> provenance_of(const Json& object) {
  Provenance out;
  COFFER_TRY(out.format, text_of(object, "format"));
  COFFER_TRY(out.source, text_of(object, "source"));
  COFFER_TRY(out.digest, text_of(object, "digest"));
  COFFER_TRY(out.signer, text_of(object, "signer"));
  COFFER_TRY(out.registrar, text_of(object, "registrar"));
  COFFER_TRY(out.registered, time_of(object, "registered"));
  return out;
}

}  // namespace

Validity validity_at(const ReferenceValue& value, tee::UnixTime time) {
  if (time < value.not_before) return Validity::kNotYet;
  return time < value.expires ? Validity::kValid : Validity::kExpired;
}

Json to_json(const ReferenceValue& value) {
  const Provenance& from = value.provenance;
  return {{"name", value.name},
          {"value", Json::parse(value.value, nullptr, false)},
          {"not_before", tee::format_rfc3339(value.not_before)},
          {"expiration", tee::format_rfc3339(value.expires)},
          {"provenance",
           {{"format", from.format},
            {"source", from.source},
            {"digest", from.digest},
            {"signer", from.signer},
            {"registrar", from.registrar},
            {"registered", tee::format_rfc3339(from.registered)}}}};
}

Result<ReferenceValue> from_json(const Json& object) {
  if (!object.is_object() || !object.contains("value") || !object.contains("provenance")) {
    return fail(Code::kDataLoss, "read reference value: a member is missing");
  }
  ReferenceValue out;
  COFFER_TRY(out.name, text_of(object, "name"));
  COFFER_TRY(out.not_before, time_of(object, "not_before"));
  COFFER_TRY(out.expires, time_of(object, "expiration"));
  COFFER_TRY(out.provenance, provenance_of(object["provenance"]));
  out.value = object["value"].dump();
  return out;
}

Status check_value_name(std::string_view name) {
  const bool control = std::ranges::any_of(name, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
  if (!name.empty() && name.size() <= kMaxNameBytes && !control && is_utf8(name)) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("name reference value: want 1 to {} bytes of text, got {} bytes{}",
                          kMaxNameBytes, name.size(), control ? " with control characters" : ""));
}

}  // namespace coffer::rv
