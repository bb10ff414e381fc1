// One connection of the server: for server.cc only.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "attestation/kbs/connection_limits.h"
#include "attestation/kbs/server.h"
#include "attestation/protocol/messages.h"

namespace coffer::kbs {

// What all connections of a server have in common.
struct Shared {
  Shared(ServerSettings from, Server::Handler to)
      : settings(std::move(from)),
        handler(std::move(to)),
        bodies(settings.body_memory, share_of(settings)) {}
  // A quarter, as of connections: who only says that he will send takes nothing from the others.
  // Where all come from one address, behind a load balancer, it is whole.
  static std::size_t share_of(const ServerSettings& settings) {
    if (settings.max_connections_per_address == 0) return settings.body_memory;
    return std::max(settings.body_memory / 4, settings.max_body);
  }
  const ServerSettings settings;
  const Server::Handler handler;
  MemoryBudget bodies;
};

// Reads a request, answers it, and again. Keeps itself alive by its callbacks.
template <typename Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, std::shared_ptr<Shared> shared, ConnectionLimits::Lease place)
      : stream_(std::move(stream)), shared_(std::move(shared)), place_(std::move(place)) {}

  void start() {
    if constexpr (kPlain) {
      wait();
    } else {
      expires(shared_->settings.handshake_timeout);
      stream_.async_handshake(boost::asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](ErrorCode error) {
                                if (!error) self->wait();
                              });
    }
  }

 private:
  using ErrorCode = boost::beast::error_code;
  using Request = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Reply = boost::beast::http::response<boost::beast::http::string_body>;
  static constexpr bool kPlain = std::is_same_v<Stream, boost::beast::tcp_stream>;
  static constexpr std::uint32_t kMaxHeader = 64 * 1024;
  static constexpr std::size_t kScratch = 64 * 1024;
  // Bodies up to this count by their connection.
  static constexpr std::size_t kSmallBody = 64 * 1024;
  static constexpr std::size_t kFirstRead = 4096;
  static constexpr std::size_t kMaxDrained = std::size_t{64} << 20U;
  static constexpr auto kLinger = std::chrono::seconds(5);

  template <typename Duration>
  void expires(Duration after) {
    boost::beast::get_lowest_layer(stream_).expires_after(after);
  }

  // For the first byte of a request.
  void wait() {
    if (buffer_.size() > 0) return read_head();  // it came with the one before
    expires(shared_->settings.idle_timeout);
    stream_.async_read_some(buffer_.prepare(kFirstRead),
                            [self = this->shared_from_this()](ErrorCode error, std::size_t size) {
                              if (error == boost::asio::error::eof) return self->close();
                              if (error) return;
                              self->buffer_.commit(size);
                              self->read_head();
                            });
  }

  void read_head() {
    parser_.emplace();
    parser_->body_limit(shared_->settings.max_body);
    parser_->header_limit(kMaxHeader);
    expires(shared_->settings.header_timeout);
    boost::beast::http::async_read_header(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](ErrorCode error, std::size_t) {
          if (error) return self->on_error(error);
          self->read_body();
        });
  }

  void read_body() {
    // Boost 1.81 asserts something of a chunk's header that whoever sends it can make untrue, and
    // no client of the protocol sends chunks. Another coding Boost takes for none at all: what a
    // proxy had sent as a body would be the next request, in somebody else's name.
    if (parser_->get().count(boost::beast::http::field::transfer_encoding) != 0) {
      return write(refusal(411, "a chunked body is not taken: send Content-Length"), false);
    }
    const auto length = parser_->content_length();
    const auto most = static_cast<std::size_t>(length.value_or(0));
    if (most > kSmallBody) {
      auto memory = shared_->bodies.take(most, place_.network());
      if (!memory) {
        return write(refusal(503, "too many large requests at a time: try again"), false);
      }
      memory_ = *std::move(memory);
    }
    expires(shared_->settings.request_timeout);
    boost::beast::http::async_read(stream_, buffer_, *parser_,
                                   [self = this->shared_from_this()](ErrorCode error, std::size_t) {
                                     if (error) return self->on_error(error);
                                     self->answer();
                                   });
  }

  void on_error(ErrorCode error) {
    namespace http = boost::beast::http;
    if (error == http::error::body_limit) {
      return write(refusal(413, fmt::format("the body is over {} bytes: raise "
                                            "http_server.payload_request_size",
                                            shared_->settings.max_body)),
                   false);
    }
    if (error == http::error::end_of_stream) return close();
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
      write(refusal(400, "this is no HTTP request: " + error.message()), false);
    }
  }

  void answer() {
    auto& message = parser_->get();
    // What HEAD is answered with has no body: who gets one all the same must not read on.
    const bool head = message.method() == boost::beast::http::verb::head;
    const bool keep = message.keep_alive() && !head;
    const auto text = [&](boost::beast::http::field field) {
      const auto at = message.find(field);
      return at == message.end() ? std::string() : std::string(at->value());
    };
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.authorization = text(boost::beast::http::field::authorization);
    request.cookie = text(boost::beast::http::field::cookie);
    request.body = std::move(message.body());
    auto reply = answer_of(request);
    request = {};
    memory_ = {};
    if (head) reply.body.clear();
    write(std::move(reply), keep);
  }

  // What nobody has foreseen, as memory that runs out, is the end of this request and of no other.
  HttpReply answer_of(const HttpRequest& request) {
    try {
      return shared_->handler(request);
    } catch (const std::exception& error) {
      if (shared_->settings.on_thrown) shared_->settings.on_thrown(error.what());
      return refusal(500, "the broker failed at this request");
    }
  }

  static HttpReply refusal(unsigned status, std::string detail) {
    HttpReply reply{.status = status};
    reply.body = protocol::serialise(protocol::make_error("HTTPFailed", std::move(detail)));
    return reply;
  }

  void write(HttpReply from, bool keep) {
    namespace http = boost::beast::http;
    auto reply = std::make_shared<Reply>(static_cast<http::status>(from.status), 11);
    reply->set(http::field::server, "coffer-kbs");
    if (!from.body.empty()) reply->set(http::field::content_type, from.content_type);
    if (!from.set_cookie.empty()) reply->set(http::field::set_cookie, from.set_cookie);
    reply->set(http::field::cache_control, "no-store");
    reply->body() = std::move(from.body);
    reply->keep_alive(keep);
    reply->prepare_payload();
    expires(shared_->settings.request_timeout);
    http::async_write(stream_, *reply,
                      [self = this->shared_from_this(), reply, keep](ErrorCode error, std::size_t) {
                        if (error) return;
                        if (keep) return self->wait();
                        self->drain(0);
                      });
  }

  // A peer that still sends would be reset, and might not see the reply: what it sends is read
  // and thrown away for a while.
  void drain(std::size_t seen) {
    if (seen == 0) {
      scratch_.resize(kScratch);
      expires(kLinger);
      if constexpr (kPlain) close();
    }
    stream_.async_read_some(boost::asio::buffer(scratch_), [self = this->shared_from_this(), seen](
                                                               ErrorCode error, std::size_t size) {
      if (error || seen + size > kMaxDrained) return self->close();
      self->drain(seen + size + 1);
    });
  }

  void close() {
    if constexpr (kPlain) {
      ErrorCode ignored;
      stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    } else {
      expires(kLinger);
      stream_.async_shutdown([self = this->shared_from_this()](ErrorCode) {});
    }
  }

  Stream stream_;
  std::shared_ptr<Shared> shared_;  // shared: the server may stop before a connection does
  ConnectionLimits::Lease place_;
  MemoryBudget::Lease memory_;  // of the body that is being read or answered
  boost::beast::flat_buffer buffer_{kMaxHeader + kSmallBody};
  std::optional<Request> parser_;
  std::vector<char> scratch_;
};

}  // namespace coffer::kbs
