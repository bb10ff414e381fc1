#include "attestation/kbs/server.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>
#include <thread>

#include "attestation/kbs/connection.h"

namespace coffer::kbs {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

constexpr int kMaxPort = 65535;
// After an accept() that failed, mostly for want of file descriptors: trying at once would spin.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

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
      : shared_(std::make_shared<Shared>(std::move(settings), std::move(handler))),
        limits_(shared_->settings.max_connections, shared_->settings.max_connections_per_address),
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
      acceptors_.push_back(std::make_unique<Listener>(std::move(acceptor)));
    }
    return {};
  }

  [[nodiscard]] std::vector<std::string> addresses() const override {
    std::vector<std::string> out;
    for (const auto& listener : acceptors_) {
      beast::error_code error;
      const auto endpoint = listener->acceptor.local_endpoint(error);
      const auto address = endpoint.address();
      out.push_back(address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                                    : fmt::format("{}:{}", address.to_string(), endpoint.port()));
    }
    return out;
  }

  void run() override {
    for (auto& listener : acceptors_) accept(*listener);
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
    // A guest makes one connection: tickets would be made for nobody.
    SSL_CTX_set_num_tickets(context.native_handle(), 0);
    // Thousands of guests wait between requests: without buffers of 32 KiB each.
    SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
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

  struct Listener {
    explicit Listener(tcp::acceptor from)
        : acceptor(std::move(from)), pause(acceptor.get_executor()) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  void accept(Listener& listener) {
    listener.acceptor.async_accept(
        asio::make_strand(io_), [this, &listener](beast::error_code error, tcp::socket socket) {
          if (error == asio::error::operation_aborted) return;
          if (!error) {
            begin(std::move(socket));
            return accept(listener);
          }
          listener.pause.expires_after(kAcceptPause);
          listener.pause.async_wait([this, &listener](beast::error_code cancelled) {
            if (!cancelled) accept(listener);
          });
        });
  }

  void begin(tcp::socket socket) {
    beast::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;  // gone already
    std::string_view reason;
    auto lease = limits_.admit(peer.address(), reason);
    if (!lease) {
      if (shared_->settings.on_refused) shared_->settings.on_refused(reason);
      return;  // closes it
    }
    socket.set_option(tcp::no_delay(true), error);
    beast::tcp_stream stream(std::move(socket));
    if (tls_) {
      using Tls = beast::ssl_stream<beast::tcp_stream>;
      std::make_shared<Connection<Tls>>(Tls(std::move(stream), *tls_), shared_, *std::move(lease))
          ->start();
    } else {
      std::make_shared<Connection<beast::tcp_stream>>(std::move(stream), shared_, *std::move(lease))
          ->start();
    }
  }

  std::shared_ptr<Shared> shared_;  // shared: with every connection
  ConnectionLimits limits_;
  asio::io_context io_;
  std::optional<asio::ssl::context> tls_;
  std::vector<std::unique_ptr<Listener>> acceptors_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerSettings settings, Handler handler) {
  auto server = std::make_unique<BeastServer>(std::move(settings), std::move(handler));
  COFFER_TRY_VOID(server->set_up());
  return server;
}

}  // namespace coffer::kbs
