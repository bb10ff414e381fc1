#include "tests/attestation/kbs/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace coffer::testing {
namespace {

Fd new_socket() {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  check(socket.get() >= 0, "socket");
  return socket;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// False when there is nothing more to pass on, or nobody to pass it to.
bool move_some(int from, int to) {
  std::array<char, 16384> buffer{};
  const ssize_t size = ::recv(from, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t count =
        ::send(to, buffer.data() + sent, static_cast<std::size_t>(size - sent), MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += count;
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(std::vector<std::uint16_t> servers)
    : servers_(std::move(servers)), connections_(servers_.size()), listener_(new_socket()) {
  auto address = loopback(0);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  check(::bind(listener_.get(), plain, size) == 0 && ::listen(listener_.get(), 256) == 0 &&
            ::getsockname(listener_.get(), plain, &size) == 0,
        "listen");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

TcpProxy::~TcpProxy() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
}

std::vector<int> TcpProxy::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void TcpProxy::accept_loop() {
  for (;;) {
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() < 0) return;
    Fd server = connect_next();
    if (server.get() < 0) continue;  // nobody answers: the client sees a closed connection
    threads_.emplace_back(pass, std::move(client), std::move(server));
  }
}

Fd TcpProxy::connect_next() {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const std::size_t index = next_++ % servers_.size();
    Fd server = new_socket();
    const auto address = loopback(servers_[index]);
    if (::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      continue;
    }
    const std::lock_guard lock(mutex_);
    ++connections_[index];
    return server;
  }
  return {};
}

// Until either side closes; then both are.
void TcpProxy::pass(Fd client, Fd server) {
  std::array<pollfd, 2> sides = {{{.fd = client.get(), .events = POLLIN, .revents = 0},
                                  {.fd = server.get(), .events = POLLIN, .revents = 0}}};
  while (::poll(sides.data(), sides.size(), -1) > 0) {
    if (sides[0].revents != 0 && !move_some(client.get(), server.get())) return;
    if (sides[1].revents != 0 && !move_some(server.get(), client.get())) return;
  }
}

}  // namespace coffer::testing
