// HTTP/1.1 over TLS or plain TCP, on a pool of threads. What one peer may hold of it, and for how
// long, is bounded.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/kbs/http.h"
#include "base/error.h"

namespace coffer::kbs {

struct ServerSettings {
  std::vector<std::string> sockets;              // "127.0.0.1:8080", "[::]:443"; port 0: any
  std::string certificate_pem, private_key_pem;  // both empty: no TLS
  std::size_t max_body = std::size_t{8} << 20U;
  std::size_t threads = 2;
  // Over either, a connection is closed as soon as it was accepted. 0: no limit. An IPv6 address
  // counts by its first 64 bits.
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_address = 1024;
  // Of all bodies over 64 KiB that are being read: who would go over it is told 503, and so is who
  // would go over a quarter of it by himself (unless connections of an address have no limit).
  std::size_t body_memory = std::size_t{256} << 20U;
  // Each phase has its own time, after which the connection is closed: the TLS handshake, a
  // request's head from its first byte, its body, the reply, and idling in between.
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
  std::chrono::milliseconds header_timeout = std::chrono::seconds(10);
  std::chrono::milliseconds request_timeout = std::chrono::seconds(30);
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(30);
  // Called for each connection that was closed at a limit: "total" or "address". From any thread.
  std::function<void(std::string_view reason)> on_refused = nullptr;
  // Called when the handler has thrown, and its peer gets a 500. From any thread.
  std::function<void(std::string_view what)> on_thrown = nullptr;
};

class Server {
 public:
  // Called from any of the threads, and may block.
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  // Listens; serves from run() on.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(ServerSettings settings,
                                                              Handler handler);
  virtual ~Server() = default;
  // The bound addresses, with the ports that were chosen.
  [[nodiscard]] virtual std::vector<std::string> addresses() const = 0;
  // Until stop().
  virtual void run() = 0;
  // Thread-safe, also from a signal's watcher.
  virtual void stop() = 0;
};

}  // namespace coffer::kbs
