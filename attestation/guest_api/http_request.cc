#include "attestation/guest_api/http_request.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "base/percent.h"
#include "base/utf8.h"

namespace coffer::guest_api {
namespace {

namespace beast_http = boost::beast::http;

constexpr std::size_t kMaxParameters = 16;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read request: {}", why));
}

std::optional<std::string> decoded(std::string_view text, Plus plus) {
  auto out = percent_decoded(text, plus);
  if (!out || !is_utf8(*out)) return std::nullopt;
  return *std::move(out);
}

Result<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> out;
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto equals = pair.find('=');
    const auto name = decoded(pair.substr(0, equals), Plus::kIsBlank);
    const auto value =
        decoded(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1),
                Plus::kIsBlank);
    if (!name || !value) return refuse("the query is not percent-encoded UTF-8");
    if (!out.emplace(*name, *value).second) {
      return refuse(fmt::format("parameter '{}' stands twice", *name));
    }
    if (out.size() > kMaxParameters) return refuse("it has too many parameters");
  }
  return out;
}

}  // namespace

struct RequestParser::State {
  beast_http::request_parser<beast_http::string_body> parser;
};

RequestParser::RequestParser() : state_(std::make_unique<State>()) {
  state_->parser.header_limit(kMaxRequestHeader);
  state_->parser.body_limit(kMaxRequestBody);
}
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;
RequestParser::~RequestParser() = default;

Result<std::size_t> RequestParser::feed(std::string_view bytes) {
  auto& parser = state_->parser;
  std::size_t used = 0;
  while (used < bytes.size() && !parser.is_done()) {
    boost::beast::error_code error;
    const auto rest = bytes.substr(used);
    used += parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    if (error == beast_http::error::need_more) break;
    if (error == beast_http::error::header_limit || error == beast_http::error::body_limit) {
      return fail(Code::kResourceExhausted, "read request: " + error.message());
    }
    if (error) return refuse(error.message());
    // Boost 1.81 asserts something of a chunk's header that whoever sends it can make untrue.
    if (parser.is_header_done() && parser.chunked()) {
      return refuse("a chunked body is not taken: send Content-Length");
    }
  }
  return used;
}

bool RequestParser::done() const { return state_->parser.is_done(); }

Result<HttpRequest> RequestParser::take() {
  auto message = state_->parser.release();
  const std::string_view target(message.target().data(), message.target().size());
  const std::string_view method(message.method_string().data(), message.method_string().size());
  if (!target.starts_with('/') || target.find('#') != std::string_view::npos) {
    return refuse("its target is no path");
  }
  const auto question = target.find('?');
  auto path = decoded(target.substr(0, question), Plus::kIsItself);
  if (!path) return refuse("its path is not percent-encoded UTF-8");
  HttpRequest out;
  out.method = method;
  out.path = *std::move(path);
  if (question != std::string_view::npos) {
    COFFER_TRY(out.query, parse_query(target.substr(question + 1)));
  }
  out.keep_alive = message.keep_alive();
  out.body = std::move(message.body());
  return out;
}

}  // namespace coffer::guest_api
