// HTTP/1.1 over TLS or plain TCP, on a pool of threads.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attestation/kbs/http.h"
#include "base/error.h"

namespace coffer::kbs {

struct ServerSettings {
  std::vector<std::string> sockets;              // "127.0.0.1:8080", "[::]:443"; port 0: any
  std::string certificate_pem, private_key_pem;  // both empty: no TLS
  std::size_t max_body = std::size_t{8} << 20U;
  std::size_t threads = 2;
  // From the first byte of a request to the last of its reply; also how long a connection may idle.
  std::chrono::seconds timeout{30};
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
