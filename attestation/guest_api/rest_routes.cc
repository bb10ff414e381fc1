#include "attestation/guest_api/rest_routes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace coffer::guest_api {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kResourcePrefix = "/cdh/resource/";

HttpReply bytes_reply(std::string_view content_type, SecretBytes body) {
  HttpReply reply;
  reply.content_type = content_type;
  reply.body = std::move(body);
  return reply;
}

HttpReply json_reply(std::string_view text) {
  return bytes_reply("application/json", SecretBytes(to_bytes(text)));
}

int status_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return 400;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kUnimplemented:
      return 501;
    default:
      return 500;
  }
}

Result<std::string> parameter(const HttpRequest& request, const char* name) {
  const auto at = request.query.find(name);
  if (at == request.query.end()) {
    return fail(Code::kInvalidArgument, fmt::format("no parameter '{}'", name));
  }
  return at->second;
}

// The text's bytes, or what it says in base64url (with or without padding).
Result<Bytes> runtime_data(const HttpRequest& request) {
  COFFER_TRY(std::string text, parameter(request, "runtime_data"));
  Bytes bytes = to_bytes(text);
  if (const auto encoding = request.query.find("encoding"); encoding != request.query.end()) {
    if (encoding->second != "base64") {
      return fail(Code::kInvalidArgument,
                  fmt::format("encoding '{}': want base64", encoding->second));
    }
    while (text.ends_with('=')) text.pop_back();
    COFFER_TRY(bytes, from_base64url(text));
  }
  COFFER_TRY_VOID(check_runtime_data(bytes));
  return bytes;
}

Result<RuntimeEvent> runtime_event(const HttpRequest& request) {
  COFFER_TRY(const Json body, parse_json(request.body, "event", {.max_depth = 4}));
  RuntimeEvent out;
  for (auto [name, field] :
       {std::pair{"domain", &out.domain}, std::pair{"operation", &out.operation},
        std::pair{"content", &out.content}}) {
    if (!body.is_object() || !body.contains(name) || !body[name].is_string()) {
      return fail(Code::kInvalidArgument, fmt::format("event: no text '{}'", name));
    }
    *field = body[name].get<std::string>();
  }
  COFFER_TRY_VOID(check_event(out));
  return out;
}

Task<HttpReply> get_resource(Backend& backend, HttpRequest request) {
  auto path =
      protocol::parse_resource_path(std::string_view(request.path).substr(kResourcePrefix.size()));
  if (!path) co_return error_reply(path.error());
  protocol::ResourceUri uri;
  uri.plugin = "resource";
  uri.path = path->to_string();
  auto secret = co_await backend.resource(std::move(uri));
  if (!secret) co_return error_reply(secret.error());
  co_return bytes_reply("application/octet-stream", *std::move(secret));
}

Task<HttpReply> get_token(Backend& backend, HttpRequest request) {
  auto type = parameter(request, "token_type");
  if (!type) co_return error_reply(type.error());
  auto token = co_await backend.token(*std::move(type));
  if (!token) co_return error_reply(token.error());
  co_return bytes_reply("application/json", *std::move(token));
}

Task<HttpReply> get_evidence(Backend& backend, HttpRequest request) {
  auto data = runtime_data(request);
  if (!data) co_return error_reply(data.error());
  const auto evidence = co_await backend.evidence(*std::move(data));
  if (!evidence) co_return error_reply(evidence.error());
  co_return json_reply(*evidence);
}

Task<HttpReply> get_additional_evidence(HttpRequest request) {
  // No devices: empty, as CoCo's agent answers then.
  const auto data = runtime_data(request);
  co_return data ? json_reply("") : error_reply(data.error());
}

Task<HttpReply> post_event(Backend& backend, HttpRequest request) {
  auto event = runtime_event(request);
  if (!event) co_return error_reply(event.error());
  const Status status = co_await backend.extend(*std::move(event));
  co_return status ? json_reply(R"({"success":"true"})") : error_reply(status.error());
}

HttpReply info(const Backend& backend, Features features) {
  std::string names;
  if (features.resource) names = "resource";
  if (features.attestation) names = features.resource ? "all" : "attestation";
  const Json out = {{"version", COFFER_VERSION}, {"tee", backend.tee()}, {"feature", names}};
  return json_reply(out.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

HttpReply text_reply(int status, std::string_view text) {
  HttpReply reply = bytes_reply("text/plain", SecretBytes(to_bytes(std::string(text) + "\n")));
  reply.status = status;
  return reply;
}

HttpReply error_reply(const Error& error) {
  return text_reply(status_of(error.code()), error.to_string());
}

Task<HttpReply> answer(Backend& backend, Features features, HttpRequest request) {
  const std::string_view path = request.path;
  const bool resource = features.resource && path.starts_with(kResourcePrefix);
  const bool event = features.attestation && path == "/aa/aael";
  const bool known = resource || event || path == "/info" ||
                     (features.attestation && (path == "/aa/token" || path == "/aa/evidence" ||
                                               path == "/aa/additional-evidence"));
  if (!known) co_return text_reply(404, "no such path, or its feature is not enabled");
  if (request.method != (event ? "POST" : "GET")) {
    co_return text_reply(405, event ? "want POST" : "want GET");
  }
  if (path == "/info") co_return info(backend, features);
  if (resource) co_return co_await get_resource(backend, std::move(request));
  if (event) co_return co_await post_event(backend, std::move(request));
  if (path == "/aa/token") co_return co_await get_token(backend, std::move(request));
  if (path == "/aa/evidence") co_return co_await get_evidence(backend, std::move(request));
  co_return co_await get_additional_evidence(std::move(request));
}

}  // namespace coffer::guest_api
