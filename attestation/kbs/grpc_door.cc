#include "attestation/kbs/grpc_door.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstring>
#include <list>
#include <thread>
#include <vector>

#include "attestation/kbs/connection_limits.h"

namespace coffer::kbs {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

// After an accept() that failed, mostly for want of file descriptors: trying at once would spin.
constexpr int kAcceptPauseMs = 100;

// A connection that is inside: its place, and a descriptor of ours that tells its end.
struct Inside {
  Fd watched;
  ConnectionLimits::Lease lease;
};

class PollDoor final : public GrpcDoor {
 public:
  explicit PollDoor(DoorSettings settings)
      : settings_(std::move(settings)),
        limits_(settings_.max_connections, settings_.max_per_address),
        acceptor_(io_) {}
  PollDoor(const PollDoor&) = delete;
  PollDoor& operator=(const PollDoor&) = delete;
  ~PollDoor() override {
    if (!thread_.joinable()) return;
    check(::eventfd_write(stop_.get(), 1) == 0, "an eventfd does not take a number");
    thread_.join();
  }

  Status open() {
    const std::string& where = settings_.socket;
    const auto error = [&](Code code, std::string_view why) {
      return fail(code,
                  fmt::format("listen on '{}' (attestation_service.grpc_socket): {}", where, why));
    };
    const std::size_t colon = where.rfind(':');
    if (colon == std::string::npos) return error(Code::kInvalidArgument, "want ADDRESS:PORT");
    std::string host = where.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    boost::system::error_code failed;
    tcp::resolver resolver(io_);
    const auto found =
        resolver.resolve(host, where.substr(colon + 1),
                         tcp::resolver::passive | tcp::resolver::numeric_service, failed);
    if (failed || found.empty()) return error(Code::kInvalidArgument, failed.message());
    const tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol(), failed);
    if (!failed) acceptor_.set_option(asio::socket_base::reuse_address(true), failed);
    if (!failed) acceptor_.bind(endpoint, failed);
    if (!failed) acceptor_.listen(asio::socket_base::max_listen_connections, failed);
    if (!failed) acceptor_.native_non_blocking(true, failed);
    if (!failed)
      address_ =
          fmt::format("{}:{}", where.substr(0, colon), acceptor_.local_endpoint(failed).port());
    if (failed) return error(Code::kUnavailable, failed.message());
    stop_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop_.valid()) return fail_errno(errno, "make an eventfd");
    return {};
  }

  [[nodiscard]] std::string address() const override { return address_; }

  void serve(Hand hand) override {
    hand_ = std::move(hand);
    thread_ = std::thread([this] { run(); });
  }

 private:
  void run() {
    std::list<Inside> inside;
    std::vector<pollfd> polled;
    bool paused = false;
    for (;;) {
      polled.assign(
          {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
           {.fd = paused ? -1 : acceptor_.native_handle(), .events = POLLIN, .revents = 0}});
      // No event but that both directions are shut, or an error.
      for (const auto& one : inside) {
        polled.push_back({.fd = one.watched.get(), .events = 0, .revents = 0});
      }
      if (::poll(polled.data(), polled.size(), paused ? kAcceptPauseMs : -1) < 0) continue;
      if (polled[0].revents != 0) return;
      auto ended = polled.begin() + 2;
      std::erase_if(inside, [&](const Inside&) { return (ended++)->revents != 0; });
      paused = polled[1].revents != 0 && !accept(inside);
    }
  }

  // False: nothing can be accepted now.
  bool accept(std::list<Inside>& inside) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    // SAFETY: sockaddr_storage is large enough for, and made to be seen as, any sockaddr.
    auto* generic = reinterpret_cast<sockaddr*>(&peer);
    const int listener = acceptor_.native_handle();
    Fd connection(::accept4(listener, generic, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
    tcp::endpoint from;
    if (size > from.capacity()) return true;
    std::memcpy(from.data(), &peer, size);
    from.resize(size);
    std::string_view reason;
    auto lease = limits_.admit(from.address(), reason);
    if (!lease) {
      if (settings_.on_refused) settings_.on_refused(reason);
      return true;  // closes it
    }
    Fd watched(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
    if (!watched.valid()) return false;
    const int on = 1;
    std::ignore = ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    inside.push_back({.watched = std::move(watched), .lease = *std::move(lease)});
    hand_(listener, std::move(connection));
    return true;
  }

  DoorSettings settings_;
  ConnectionLimits limits_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::string address_;
  Fd stop_;
  Hand hand_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<GrpcDoor>> GrpcDoor::listen(DoorSettings settings) {
  auto door = std::make_unique<PollDoor>(std::move(settings));
  COFFER_TRY_VOID(door->open());
  return door;
}

}  // namespace coffer::kbs
