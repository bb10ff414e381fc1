#include "attestation/protocol/messages.h"

#include <fmt/format.h>

#include "base/json.h"

namespace coffer::protocol {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxErrorBytes = std::size_t{64} << 10U;
constexpr std::size_t kMaxNonceBytes = std::size_t{64} << 10U;
constexpr std::size_t kMaxDevices = 8;
constexpr std::size_t kMaxVersions = 16;

// Reads members of one object, whose name goes into errors.
class Reader {
 public:
  Reader(const Json& object, std::string_view what) : object_(object), what_(what) {}

  [[nodiscard]] std::unexpected<Error> refuse(std::string_view why) const {
    return fail(Code::kInvalidArgument, fmt::format("read {}: {}", what_, why));
  }
  [[nodiscard]] Result<const Json*> member(const char* name) const {
    const auto at = object_.find(name);
    if (at == object_.end()) return refuse(fmt::format("no member '{}'", name));
    return &*at;
  }
  [[nodiscard]] Result<std::string> text(const char* name) const {
    COFFER_TRY(const Json* value, member(name));
    if (!value->is_string()) return refuse(fmt::format("member '{}' is no string", name));
    return value->get<std::string>();
  }
  // Empty when absent.
  [[nodiscard]] Result<std::string> optional_text(const char* name) const {
    if (!object_.contains(name)) return std::string();
    return text(name);
  }
  [[nodiscard]] Result<const Json*> object(const char* name) const {
    COFFER_TRY(const Json* value, member(name));
    if (!value->is_object()) return refuse(fmt::format("member '{}' is no object", name));
    return value;
  }

 private:
  const Json& object_;
  std::string_view what_;
};

Result<Json> parse_object(std::string_view body, std::string_view what, std::size_t max_bytes,
                          bool lists_as_bytes = false) {
  COFFER_TRY(Json value, parse_json(body, what,
                                    {.max_bytes = max_bytes,
                                     .max_depth = kMaxDepth,
                                     .lists_as_bytes = lists_as_bytes}));
  if (!value.is_object()) {
    return fail(Code::kInvalidArgument, fmt::format("read {}: it is no object", what));
  }
  return value;
}

Result<std::optional<InitData>> read_init_data(const Json& message) {
  const auto at = message.find("init-data");
  if (at == message.end() || at->is_null()) return std::optional<InitData>();
  const Reader reader(*at, "init-data");
  if (!at->is_object()) return reader.refuse("it is neither object nor null");
  COFFER_TRY(std::string format, reader.text("format"));
  COFFER_TRY(std::string body, reader.text("body"));
  if (format != "toml") return reader.refuse(fmt::format("format '{}', want 'toml'", format));
  return InitData{.format = std::move(format), .body = std::move(body)};
}

}  // namespace

Result<Request> parse_request(std::string_view body) {
  COFFER_TRY(const Json message, parse_object(body, "Request", kMaxMessageBytes));
  const Reader reader(message, "Request");
  Request out;
  COFFER_TRY(out.version, reader.text("version"));
  COFFER_TRY(const std::string tee, reader.text("tee"));
  COFFER_TRY(out.tee, parse_tee(tee));
  if (message.contains("extra-params")) out.extra_params = message["extra-params"];
  return out;
}

std::string serialise(const Request& request) {
  nlohmann::ordered_json out;
  out["version"] = request.version;
  out["tee"] = std::string(tee_name(request.tee));
  out["extra-params"] = request.extra_params;
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Status check_version(std::string_view version) {
  if (version == kProtocolVersion) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("KBS protocol version: got '{}', want '{}'", version, kProtocolVersion));
}

Result<Hash> Challenge::selected_hash() const {
  if (!extra_params.is_object()) return Hash::kSha384;
  const auto at = extra_params.find("selected-hash-algorithm");
  if (at == extra_params.end()) return Hash::kSha384;
  if (!at->is_string()) {
    return fail(Code::kInvalidArgument, "read Challenge: 'selected-hash-algorithm' is no string");
  }
  return parse_hash(at->get_ref<const std::string&>());
}

Result<Challenge> parse_challenge(std::string_view body) {
  COFFER_TRY(const Json message, parse_object(body, "Challenge", kMaxMessageBytes));
  const Reader reader(message, "Challenge");
  Challenge out;
  COFFER_TRY(out.nonce, reader.text("nonce"));
  if (out.nonce.empty() || out.nonce.size() > kMaxNonceBytes) {
    return reader.refuse(fmt::format("a nonce of {} bytes", out.nonce.size()));
  }
  if (message.contains("extra-params")) out.extra_params = message["extra-params"];
  return out;
}

std::string serialise(const Challenge& challenge) {
  nlohmann::ordered_json out;
  out["nonce"] = challenge.nonce;
  out["extra-params"] = challenge.extra_params;
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<Attestation> parse_attestation(std::string_view body) {
  COFFER_TRY(Json message, parse_object(body, "Attestation", kMaxMessageBytes, true));
  const Reader reader(message, "Attestation");
  Attestation out;
  COFFER_TRY(out.init_data, read_init_data(message));
  COFFER_TRY(const Json* runtime, reader.object("runtime-data"));
  const Reader runtime_reader(*runtime, "runtime-data");
  COFFER_TRY(out.nonce, runtime_reader.text("nonce"));
  COFFER_TRY(const Json* key, runtime_reader.object("tee-pubkey"));
  out.tee_pubkey = *key;
  COFFER_TRY(const Json* evidence, reader.object("tee-evidence"));
  const Reader evidence_reader(*evidence, "tee-evidence");
  COFFER_TRY(out.additional_evidence, evidence_reader.optional_text("additional_evidence"));
  COFFER_TRY_VOID(evidence_reader.member("primary_evidence"));
  // Moved, not copied: it may be megabytes.
  out.primary_evidence = std::move(message["tee-evidence"]["primary_evidence"]);
  return out;
}

std::string serialise(const Attestation& attestation) {
  Json out = {
      {"runtime-data", {{"nonce", attestation.nonce}, {"tee-pubkey", attestation.tee_pubkey}}},
      {"tee-evidence",
       {{"primary_evidence", attestation.primary_evidence},
        {"additional_evidence", attestation.additional_evidence}}},
      {"init-data", nullptr}};
  if (attestation.init_data) {
    out["init-data"] = {{"format", attestation.init_data->format},
                        {"body", attestation.init_data->body}};
  }
  return dump_json(out);
}

Result<std::vector<DeviceEvidence>> parse_additional_evidence(std::string_view text) {
  std::vector<DeviceEvidence> out;
  if (text.empty()) return out;
  COFFER_TRY(const Json value, parse_object(text, "additional evidence", kMaxMessageBytes));
  if (value.size() > kMaxDevices) {
    return fail(Code::kInvalidArgument, fmt::format("read additional evidence: of {} TEEs, the "
                                                    "limit is {}",
                                                    value.size(), kMaxDevices));
  }
  for (const auto& [name, evidence] : value.items()) {
    COFFER_TRY(const Tee tee, parse_tee(name));
    out.push_back({.tee = tee, .evidence = evidence});
  }
  return out;
}

Result<Response> parse_response(std::string_view body) {
  COFFER_TRY(const Json message, parse_object(body, "Response", kMaxMessageBytes));
  COFFER_TRY(std::string token, Reader(message, "Response").text("token"));
  return Response{.token = std::move(token)};
}

std::string serialise(const Response& response) { return dump_json({{"token", response.token}}); }

std::string_view ErrorInformation::variant() const {
  const std::string_view text = type;
  return text.substr(text.rfind('/') + 1);
}

ErrorInformation make_error(std::string_view variant, std::string detail) {
  return {.type = std::string(kErrorTypePrefix) + std::string(variant),
          .detail = std::move(detail),
          .attestation_id = {},
          .supported_versions = {}};
}

Result<ErrorInformation> parse_error(std::string_view body) {
  COFFER_TRY(const Json message, parse_object(body, "ErrorInformation", kMaxErrorBytes));
  const Reader reader(message, "ErrorInformation");
  ErrorInformation out;
  COFFER_TRY(out.type, reader.text("type"));
  COFFER_TRY(out.detail, reader.text("detail"));
  COFFER_TRY(out.attestation_id, reader.optional_text("attestation-id"));
  const auto versions = message.find("supported-versions");
  if (versions == message.end()) return out;
  if (!versions->is_array() || versions->size() > kMaxVersions) {
    return reader.refuse("member 'supported-versions' is no short list");
  }
  for (const auto& version : *versions) {
    if (!version.is_string()) return reader.refuse("a supported version is no string");
    out.supported_versions.push_back(version.get<std::string>());
  }
  return out;
}

std::string serialise(const ErrorInformation& error) {
  nlohmann::ordered_json out;
  out["type"] = error.type;
  out["detail"] = error.detail;
  if (!error.attestation_id.empty()) out["attestation-id"] = error.attestation_id;
  if (!error.supported_versions.empty()) out["supported-versions"] = error.supported_versions;
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace coffer::protocol
