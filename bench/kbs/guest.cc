#include "bench/kbs/guest.h"

#include <fmt/format.h>

#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <stdexcept>

#include "attestation/jose/jwe.h"
#include "attestation/jose/jwk.h"
#include "attestation/protocol/messages.h"
#include "attestation/protocol/report_data.h"

namespace coffer::bench {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

constexpr auto kPatience = std::chrono::seconds(120);

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return *std::move(result);
}

}  // namespace

Guest::Guest(asio::io_context& io, asio::ssl::context& tls, protocol::Tee tee)
    : stream_(io, tls),
      tee_(tee),
      key_(value_of(jose::PrivateKey::generate(jose::KeyType::kEcP256))) {}

Task<> Guest::begin(asio::ip::tcp::endpoint broker) {
  auto& socket = beast::get_lowest_layer(stream_);
  socket.expires_after(kPatience);
  co_await socket.async_connect(broker, asio::use_awaitable);
  socket.socket().set_option(asio::ip::tcp::no_delay(true));
  co_await stream_.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  protocol::Request request;
  request.tee = tee_;
  const std::string reply = co_await exchange("POST", "auth", protocol::serialise(request));
  nonce_ = value_of(protocol::parse_challenge(reply)).nonce;
}

Status Guest::make_evidence(const Vendors& vendors) {
  protocol::Attestation message;
  message.nonce = nonce_;
  COFFER_TRY(message.tee_pubkey, jose::to_tee_pubkey(key_.public_key()));
  COFFER_TRY(const Bytes bound, protocol::primary_report_data(nonce_, message.tee_pubkey, ""));
  COFFER_TRY(message.primary_evidence, vendors.evidence(tee_, bound));
  attestation_ = protocol::serialise(message);
  return {};
}

Task<> Guest::attest() {
  const std::string reply = co_await exchange("POST", "attest", std::move(attestation_));
  value_of(protocol::parse_response(reply));
}

Task<std::string> Guest::read(std::string path) {
  const std::string reply = co_await exchange("GET", "resource/" + path, {});
  const auto jwe = value_of(jose::parse_jwe(reply));
  const auto secret = value_of(jose::decrypt_jwe(key_, jwe));
  co_return std::string(as_text(secret.view()));
}

Task<std::string> Guest::exchange(std::string method, std::string target, std::string body) {
  http::request<http::string_body> request(http::string_to_verb(method), "/kbs/v0/" + target, 11);
  request.set(http::field::host, "127.0.0.1");
  if (!cookie_.empty()) request.set(http::field::cookie, cookie_);
  request.body() = std::move(body);
  request.prepare_payload();
  beast::get_lowest_layer(stream_).expires_after(kPatience);
  co_await http::async_write(stream_, request, asio::use_awaitable);
  http::response<http::string_body> reply;
  co_await http::async_read(stream_, buffer_, reply, asio::use_awaitable);
  if (reply.result() != http::status::ok) {
    throw std::runtime_error(
        fmt::format("{} {}: {}: {}", method, target, reply.result_int(), reply.body()));
  }
  if (const auto cookie = reply.find(http::field::set_cookie); cookie != reply.end()) {
    cookie_ = cookie->value();
    cookie_.resize(std::min(cookie_.find(';'), cookie_.size()));
  }
  co_return std::move(reply.body());
}

}  // namespace coffer::bench
