#include "attestation/kbs/server.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>
#include <thread>

#include "attestation/protocol/messages.h"

namespace coffer::kbs {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::uint32_t kMaxHeader = 64 * 1024;
constexpr int kMaxPort = 65535;
constexpr auto kLinger = std::chrono::seconds(5);
constexpr std::size_t kMaxDrained = std::size_t{64} << 20U;

struct Shared {
  ServerSettings settings;
  Server::Handler handler;
};

std::string text(http::request<http::string_body>& request, http::field field) {
  const auto at = request.find(field);
  return at == request.end() ? std::string() : std::string(at->value());
}

HttpRequest to_request(http::request<http::string_body>& request) {
  HttpRequest out;
  out.method = std::string(request.method_string());
  out.target = std::string(request.target());
  out.authorization = text(request, http::field::authorization);
  out.cookie = text(request, http::field::cookie);
  out.body = std::move(request.body());
  return out;
}

// One connection: read a request, answer it, and again. Keeps itself alive by its callbacks.
template <typename Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, std::shared_ptr<const Shared> shared)
      : stream_(std::move(stream)), shared_(std::move(shared)) {}

  void start() {
    if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
      read();
    } else {
      expires();
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                if (!error) self->read();
                              });
    }
  }

 private:
  using Request = http::request_parser<http::string_body>;
  using Reply = http::response<http::string_body>;

  void expires() { beast::get_lowest_layer(stream_).expires_after(shared_->settings.timeout); }

  void read() {
    parser_.emplace();
    parser_->body_limit(shared_->settings.max_body);
    parser_->header_limit(kMaxHeader);
    expires();
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

  void on_read(beast::error_code error) {
    if (error == http::error::body_limit) {
      return write(refusal(413, fmt::format("the body is over {} bytes: raise "
                                            "http_server.payload_request_size",
                                            shared_->settings.max_body)),
                   false);
    }
    if (error == http::error::end_of_stream) return close();
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
      return write(refusal(400, "this is no HTTP request: " + error.message()), false);
    }
    if (error) return;
    auto& message = parser_->get();
    const bool keep = message.keep_alive();
    const HttpRequest request = to_request(message);
    write(shared_->handler(request), keep);
  }

  static HttpReply refusal(unsigned status, std::string detail) {
    HttpReply reply{.status = status};
    reply.body = protocol::serialise(protocol::make_error("HTTPFailed", std::move(detail)));
    return reply;
  }

  void write(HttpReply from, bool keep) {
    auto reply = std::make_shared<Reply>(static_cast<http::status>(from.status), 11);
    reply->set(http::field::server, "coffer-kbs");
    if (!from.body.empty()) reply->set(http::field::content_type, from.content_type);
    if (!from.set_cookie.empty()) reply->set(http::field::set_cookie, from.set_cookie);
    reply->set(http::field::cache_control, "no-store");
    reply->body() = std::move(from.body);
    reply->keep_alive(keep);
    reply->prepare_payload();
    expires();
    http::async_write(
        stream_, *reply,
        [self = this->shared_from_this(), reply, keep](beast::error_code error, std::size_t) {
          if (error) return;
          if (keep) return self->read();
          self->drain(0);
        });
  }

  // A peer that still sends would be reset, and might not see the reply: what it sends is read
  // and thrown away for a while.
  void drain(std::size_t seen) {
    constexpr std::size_t kScratch = 64 * 1024;
    if (seen == 0) {
      scratch_.resize(kScratch);
      beast::get_lowest_layer(stream_).expires_after(kLinger);
      if constexpr (std::is_same_v<Stream, beast::tcp_stream>) close();
    }
    stream_.async_read_some(asio::buffer(scratch_), [self = this->shared_from_this(), seen](
                                                        beast::error_code error, std::size_t size) {
      if (error || seen + size > kMaxDrained) return self->close();
      self->drain(seen + size + 1);
    });
  }

  void close() {
    if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
      beast::error_code ignored;
      stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    } else {
      expires();
      stream_.async_shutdown([self = this->shared_from_this()](beast::error_code) {});
    }
  }

  Stream stream_;
  std::shared_ptr<const Shared> shared_;  // shared: the server may stop before a connection does
  beast::flat_buffer buffer_;
  std::optional<Request> parser_;
  std::vector<char> scratch_;
};

Result<tcp::endpoint> parse_endpoint(const std::string& where) {
  const std::size_t colon = where.rfind(':');
  const auto bad =
      fail(Code::kInvalidArgument, fmt::format("listen on '{}': want ADDRESS:PORT", where));
  if (colon == std::string::npos) return bad;
  std::string host = where.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  beast::error_code error;
  const auto address = asio::ip::make_address(host, error);
  char* end = nullptr;
  const std::string port_text = where.substr(colon + 1);
  const long port = std::strtol(port_text.c_str(), &end, 10);
  if (error || port_text.empty() || *end != '\0' || port < 0 || port > kMaxPort) return bad;
  return tcp::endpoint(address, static_cast<std::uint16_t>(port));
}

class BeastServer final : public Server {
 public:
  BeastServer(ServerSettings settings, Handler handler)
      : shared_(std::make_shared<Shared>(Shared{std::move(settings), std::move(handler)})),
        io_(static_cast<int>(shared_->settings.threads)) {}

  Status set_up() {
    if (!shared_->settings.certificate_pem.empty()) COFFER_TRY_VOID(set_up_tls());
    for (const auto& where : shared_->settings.sockets) {
      COFFER_TRY(const auto endpoint, parse_endpoint(where));
      beast::error_code error;
      tcp::acceptor acceptor(io_);
      acceptor.open(endpoint.protocol(), error);
      if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
      if (!error) acceptor.bind(endpoint, error);
      if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
      if (error) {
        return fail(Code::kUnavailable, fmt::format("listen on '{}': {}", where, error.message()));
      }
      acceptors_.push_back(std::move(acceptor));
    }
    return {};
  }

  [[nodiscard]] std::vector<std::string> addresses() const override {
    std::vector<std::string> out;
    for (const auto& acceptor : acceptors_) {
      beast::error_code error;
      const auto endpoint = acceptor.local_endpoint(error);
      const auto address = endpoint.address();
      out.push_back(address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                                    : fmt::format("{}:{}", address.to_string(), endpoint.port()));
    }
    return out;
  }

  void run() override {
    for (auto& acceptor : acceptors_) accept(acceptor);
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < shared_->settings.threads; ++i) {
      threads.emplace_back([this] { io_.run(); });
    }
    io_.run();
    for (auto& thread : threads) thread.join();
  }

  void stop() override { io_.stop(); }

 private:
  Status set_up_tls() {
    auto& context = tls_.emplace(asio::ssl::context::tls_server);
    beast::error_code error;
    context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                            asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression,
                        error);
    if (!error) {
      context.use_certificate_chain(asio::buffer(shared_->settings.certificate_pem), error);
    }
    if (error) {
      return fail(Code::kInvalidArgument, "use http_server.certificate: " + error.message());
    }
    context.use_private_key(asio::buffer(shared_->settings.private_key_pem),
                            asio::ssl::context::pem, error);
    if (!error && SSL_CTX_check_private_key(context.native_handle()) != 1) {
      return fail(Code::kInvalidArgument,
                  "use http_server.private_key: it is not the certificate's");
    }
    if (!error) return {};
    return fail(Code::kInvalidArgument, "use http_server.private_key: " + error.message());
  }

  void accept(tcp::acceptor& acceptor) {
    acceptor.async_accept(asio::make_strand(io_),
                          [this, &acceptor](beast::error_code error, tcp::socket socket) {
                            if (!error) begin(std::move(socket));
                            if (error == asio::error::operation_aborted) return;
                            accept(acceptor);
                          });
  }

  void begin(tcp::socket socket) {
    beast::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (tls_) {
      using Tls = beast::ssl_stream<beast::tcp_stream>;
      std::make_shared<Connection<Tls>>(Tls(beast::tcp_stream(std::move(socket)), *tls_), shared_)
          ->start();
    } else {
      std::make_shared<Connection<beast::tcp_stream>>(beast::tcp_stream(std::move(socket)), shared_)
          ->start();
    }
  }

  std::shared_ptr<Shared> shared_;  // shared: with every connection
  asio::io_context io_;
  std::optional<asio::ssl::context> tls_;
  std::vector<tcp::acceptor> acceptors_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerSettings settings, Handler handler) {
  auto server = std::make_unique<BeastServer>(std::move(settings), std::move(handler));
  COFFER_TRY_VOID(server->set_up());
  return server;
}

}  // namespace coffer::kbs
