// A load balancer of the simplest kind: each connection goes to the next of its servers, or to
// another one when that does not answer. It passes bytes on, and knows nothing of TLS.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace coffer::testing {

class TcpProxy {
 public:
  // To servers on these ports of 127.0.0.1. Aborts the test program on failure.
  explicit TcpProxy(std::vector<std::uint16_t> servers);
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;
  ~TcpProxy();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // How many connections each of them got.
  [[nodiscard]] std::vector<int> connections() const;

 private:
  void accept_loop();
  [[nodiscard]] Fd connect_next();
  static void pass(Fd client, Fd server);

  std::vector<std::uint16_t> servers_;
  mutable std::mutex mutex_;
  std::vector<int> connections_;
  std::size_t next_ = 0;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::vector<std::thread> threads_;  // of connections; the acceptor's alone
  std::thread acceptor_;
};

}  // namespace coffer::testing
