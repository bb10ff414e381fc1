#include <fmt/format.h>

#include <charconv>

#include "attestation/kbs/broker.h"
#include "attestation/protocol/resource_path.h"
#include "attestation/reference_values/message.h"
#include "base/json.h"

namespace coffer::kbs {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kResources = "repository";
constexpr std::size_t kMaxListed = 1000;

HttpReply no_such(const HttpRequest& request) {
  return error_reply(404, "PluginNotFound",
                     fmt::format("{} {}: there is no such action", request.method, request.path()));
}

HttpReply done(const Status& status, std::string_view variant) {
  return status ? HttpReply{} : error_reply(variant, status.error());
}

HttpReply revision_reply(const Result<rv::Revision>& revision) {
  if (!revision) return error_reply("RvpsError", revision.error());
  return json_reply({{"revision", *revision}});
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view validity_name(rv::Validity validity) {
  switch (validity) {
    case rv::Validity::kValid:
      return "valid";
    case rv::Validity::kNotYet:
      return "not yet valid";
    case rv::Validity::kExpired:
      break;
  }
  return "expired";
}

Json snapshot_json(const rv::Snapshot& snapshot, tee::UnixTime now) {
  Json values = Json::array();
  for (const auto& [name, value] : snapshot.values) {
    values.push_back(rv::to_json(value));
    values.back()["validity"] = validity_name(rv::validity_at(value, now));
  }
  return {{"revision", snapshot.revision}, {"values", std::move(values)}};
}

Result<std::string> text_member(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) {
    return fail(Code::kInvalidArgument, fmt::format("read request: '{}' is no text", key));
  }
  return at->get<std::string>();
}

Result<Json> object_of(const HttpRequest& request) {
  COFFER_TRY(Json json, parse_json(request.body, "request"));
  if (json.is_object()) return json;
  return fail(Code::kInvalidArgument, "read request: want a JSON object");
}

// Trustee's clients write base64url, some with padding.
Result<std::string> policy_text(const Json& object) {
  COFFER_TRY(std::string encoded, text_member(object, "policy"));
  while (encoded.ends_with('=')) encoded.pop_back();
  COFFER_TRY(const Bytes bytes, from_base64url(encoded));
  return std::string(as_text(bytes));
}

Result<std::vector<std::string>> names_of(const Json& object) {
  std::vector<std::string> out;
  const auto at = object.find("names");
  if (at != object.end() && at->is_array()) {
    for (const auto& name : *at) {
      if (!name.is_string()) break;
      out.push_back(name.get<std::string>());
    }
    if (!out.empty() && out.size() == at->size()) return out;
  }
  return fail(Code::kInvalidArgument, "read request: 'names' is no list of texts");
}

}  // namespace

HttpReply Broker::admin(const HttpRequest& request, const Segments& path) {
  const auto name = parts_.admin.check(request.bearer(), parts_.clock());
  if (!name) return error_reply(401, "AdminAuthAccess", name.error().to_string());
  return admin_route(request, path, *name);
}

HttpReply Broker::admin_route(const HttpRequest& request, const Segments& path,
                              const std::string& name) {
  const std::string& action = path.front();
  if (action == "resource") return write_resource(request, path);
  if (action == "attestation-policy" || action == "resource-policy") return policies(request, path);
  if (action == "reference-value") return reference_value(request, path, name);
  if (action == "reference-values") return reference_values(request, path, name);
  if (action == "attestations" && request.method == "GET") return attestations(request, path);
  return no_such(request);
}

HttpReply Broker::write_resource(const HttpRequest& request, const Segments& segments) {
  const Segments parts(segments.begin() + 1, segments.end());
  const auto path = protocol::parse_resource_path(fmt::format("{}", fmt::join(parts, "/")));
  if (!path) return error_reply(404, "InvalidRequestPath", path.error().to_string());
  if (request.method == "POST") {
    parts_.metrics.count("kbs_resource_writes_total");
    return done(parts_.store.put(kResources, path->to_string(), as_bytes(request.body)),
                "PluginInternalError");
  }
  if (request.method != "DELETE") return no_such(request);
  parts_.metrics.count("kbs_resource_deletes_total");
  const auto removed = parts_.store.remove(kResources, path->to_string());
  if (!removed) return error_reply("PluginInternalError", removed.error());
  if (*removed) return {};
  return error_reply(404, "PluginInternalError",
                     fmt::format("delete resource '{}': there is none", path->to_string()));
}

HttpReply Broker::policies(const HttpRequest& request, const Segments& path) {
  const bool resource = path.front() == "resource-policy";
  if (request.method == "GET") {
    if (path.size() == 2) {
      const auto text = resource ? parts_.policies.resource_policy()
                                 : parts_.policies.attestation_policy(path[1]);
      if (!text) return error_reply("PolicyEngineError", text.error());
      return {.content_type = "text/plain", .body = *text};
    }
    if (resource) return json_reply({"resource-policy"});
    const auto ids = parts_.policies.attestation_policies();
    if (!ids) return error_reply("PolicyEngineError", ids.error());
    return json_reply(*ids);
  }
  if (request.method != "POST") return no_such(request);
  const auto object = object_of(request);
  if (!object) return error_reply("SerdeError", object.error());
  const auto text = policy_text(*object);
  if (!text) return error_reply("ParsePolicyError", text.error());
  if (resource) return done(parts_.policies.set_resource_policy(*text), "ParsePolicyError");
  const auto id = text_member(*object, "policy_id");
  if (!id) return error_reply("SerdeError", id.error());
  return done(parts_.policies.set_attestation_policy(*id, *text), "ParsePolicyError");
}

// Trustee's: one message in, one value out.
HttpReply Broker::reference_value(const HttpRequest& request, const Segments& path,
                                  const std::string& name) {
  const tee::UnixTime now = parts_.clock();
  if (request.method == "POST" && path.size() == 1) {
    const auto values = rv::parse_message(
        as_bytes(request.body), {.now = now, .registrar = name, .signers = parts_.signers});
    if (!values) return error_reply("RvpsError", values.error());
    return revision_reply(parts_.values.set(*values, {.name = name, .time = now}));
  }
  if (request.method != "GET" || path.size() < 2) return no_such(request);
  const auto snapshot = parts_.values.current();
  if (!snapshot) return error_reply("RvpsError", snapshot.error());
  const std::string id = fmt::format("{}", fmt::join(path.begin() + 1, path.end(), "/"));
  const auto value = (*snapshot)->values.find(id);
  if (value == (*snapshot)->values.end()) {
    return error_reply(404, "RvpsError",
                       fmt::format("find reference value '{}': there is none", id));
  }
  if (const auto validity = rv::validity_at(value->second, now); validity != rv::Validity::kValid) {
    return error_reply(
        404, "RvpsError",
        fmt::format("find reference value '{}': it is {}", id, validity_name(validity)));
  }
  return {.body = value->second.value};
}

// Ours: the set as a whole.
HttpReply Broker::reference_values(const HttpRequest& request, const Segments& path,
                                   const std::string& name) {
  const std::string action = path.size() > 1 ? path[1] : "";
  const tee::UnixTime now = parts_.clock();
  const rv::ValueSet::Author author{.name = name, .time = now};
  if (request.method == "GET" && action == "history") {
    const auto history = parts_.values.history();
    if (!history) return error_reply("RvpsError", history.error());
    Json out = Json::array();
    for (const auto& item : *history) {
      out.push_back({{"revision", item.revision},
                     {"time", tee::format_rfc3339(item.time)},
                     {"by", item.by},
                     {"change", item.change},
                     {"values", item.values}});
    }
    return json_reply(out);
  }
  if (request.method == "GET") {
    auto query = request.query();
    const auto snapshot = parts_.values.current();
    if (!snapshot) return error_reply("RvpsError", snapshot.error());
    if (action.empty()) return json_reply(snapshot_json(**snapshot, now));
    if (action != "diff") return no_such(request);
    const auto from = number(query["from"]);
    const auto to =
        query["to"].empty() ? std::optional((*snapshot)->revision) : number(query["to"]);
    if (!from || !to) return error_reply(400, "RvpsError", "diff: want from=N and perhaps to=N");
    const auto before = parts_.values.at(*from);
    if (!before) return error_reply("RvpsError", before.error());
    const auto after = parts_.values.at(*to);
    if (!after) return error_reply("RvpsError", after.error());
    const auto changes = rv::difference(*before, *after);
    return json_reply(
        {{"added", changes.added}, {"removed", changes.removed}, {"changed", changes.changed}});
  }
  if (request.method != "POST") return no_such(request);
  const auto object = object_of(request);
  if (!object) return error_reply("SerdeError", object.error());
  if (action == "rollback") {
    const auto at = object->find("revision");
    if (at == object->end() || !at->is_number_unsigned()) {
      return error_reply(400, "RvpsError", "rollback: 'revision' is no number");
    }
    return revision_reply(parts_.values.roll_back(at->get<rv::Revision>(), author));
  }
  const auto names = names_of(*object);
  if (!names) return error_reply("SerdeError", names.error());
  if (action == "delete") return revision_reply(parts_.values.remove(*names, author));
  if (action == "expire") return revision_reply(parts_.values.expire(*names, now, author));
  return no_such(request);
}

HttpReply Broker::attestations(const HttpRequest& request, const Segments& path) {
  if (path.size() == 2) {
    const auto record = parts_.records.load(path[1]);
    if (!record) return error_reply("AttestationError", record.error());
    return json_reply(*record);
  }
  const auto limit = number(request.query()["limit"]);
  const auto list = parts_.records.list(std::min<std::size_t>(limit.value_or(50), kMaxListed));
  if (!list) return error_reply("AttestationError", list.error());
  return json_reply(*list);
}

}  // namespace coffer::kbs
