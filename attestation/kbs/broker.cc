#include "attestation/kbs/broker.h"

#include <fmt/format.h>

#include "attestation/protocol/messages.h"
#include "base/json.h"

namespace coffer::kbs {
namespace {

unsigned status_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kUnimplemented:
      return 400;
    case Code::kUnauthenticated:
    case Code::kFailedPrecondition:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kResourceExhausted:
      return 413;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

HttpReply error_reply(unsigned status, std::string_view variant, std::string detail,
                      std::string attestation_id) {
  auto error = protocol::make_error(variant, std::move(detail));
  error.attestation_id = std::move(attestation_id);
  HttpReply reply{.status = status};
  reply.cause = fmt::format("{}: {}", variant, error.detail);
  reply.body = protocol::serialise(error);
  return reply;
}

HttpReply error_reply(std::string_view variant, const Error& error) {
  return error_reply(status_of(error.code()), variant, error.to_string());
}

bool is_internal(Code code) { return status_of(code) >= 500; }

std::string_view told_to_guests(Code code) {
  return status_of(code) == 503 ? "the broker cannot do this now: try again (its log says why)"
                                : "the broker failed at this (its log says why)";
}

HttpReply guest_reply(std::string_view variant, const Error& error) {
  HttpReply reply = error_reply(variant, error);
  if (!is_internal(error.code())) return reply;
  reply.body =
      protocol::serialise(protocol::make_error(variant, std::string(told_to_guests(error.code()))));
  return reply;
}

HttpReply json_reply(const nlohmann::json& json) {
  return {.status = 200, .body = dump_json(json)};
}

HttpReply Broker::handle(const HttpRequest& request) {
  HttpReply reply = route(request);
  parts_.metrics.count("kbs_http_requests_total", fmt::format("{{status=\"{}\"}}", reply.status));
  return reply;
}

HttpReply Broker::route(const HttpRequest& request) {
  const std::string_view path = request.path();
  const bool get = request.method == "GET";
  if (path == "/healthz") return get ? HttpReply{} : error_reply(405, "HTTPFailed", "GET only");
  if (path == "/metrics") {
    if (!get) return error_reply(405, "HTTPFailed", "GET only");
    return {.content_type = "text/plain; version=0.0.4", .body = parts_.metrics.text()};
  }
  if (path == "/.well-known/jwks.json" && get) return json_reply(parts_.signer.jwks());
  const Segments segments = request.segments(protocol::kPathPrefix);
  if (segments.empty()) {
    return error_reply(404, "InvalidRequestPath",
                       "this is a key broker: its paths begin with /kbs/v0/");
  }
  const std::string& action = segments.front();
  if (action == "auth" && request.method == "POST") return auth(request);
  if (action == "attest" && request.method == "POST") return attest(request);
  if (action == "resource" && get) return get_resource(request, segments);
  return admin(request, segments);
}

}  // namespace coffer::kbs
