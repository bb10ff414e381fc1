// The REST API's server: HTTP/1.1 on a loopback port, on the agent's loop.
#pragma once

#include <cstdint>
#include <memory>

#include "attestation/guest_api/access.h"
#include "attestation/guest_api/rest_routes.h"
#include "base/error.h"
#include "base/loop.h"

namespace coffer::guest_api {

struct RestSettings {
  std::uint16_t port = 8006;  // 0: any
  Features features = {};
  std::size_t max_connections = 64;
  // For a request to come in whole, and for its reply to be taken.
  std::chrono::seconds io_timeout = std::chrono::seconds(30);
  // Empty: nobody gets anything.
  Authorize authorize = {};
};

// Serves from start() to close(). Peers that are not loopback's are refused, though only 127.0.0.1
// is listened on.
class RestServer {
 public:
  // `backend` must outlive the server.
  RestServer(asio::any_io_executor executor, Backend& backend, RestSettings settings);
  RestServer(const RestServer&) = delete;
  RestServer& operator=(const RestServer&) = delete;
  ~RestServer();

  // Binds and listens; kAlreadyExists when the port is taken.
  [[nodiscard]] Status start();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Ends every connection. Must be awaited before the destructor.
  Task<void> close();

 private:
  Task<void> accept_loop();
  Task<void> serve(Fd connection, std::uint16_t peer_port);
  Task<bool> serve_one(int fd, Backend& backend, std::string& buffer);
  Task<Result<HttpRequest>> read_request(int fd, std::string& buffer);

  Backend& backend_;
  RestSettings settings_;
  std::uint16_t port_ = 0;
  Fd listener_;
  Scope scope_;
};

}  // namespace coffer::guest_api
