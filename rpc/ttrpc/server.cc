#include "rpc/ttrpc/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "rpc/ttrpc/connection.h"

namespace coffer::rpc {
namespace {

// How long accepting pauses when the process is out of descriptors.
constexpr std::chrono::milliseconds kAcceptPause{100};

bool is_transient(int error) {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM;
}

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(asio::any_io_executor executor, Router router, const Limits& limits, Logger log)
      : router_(std::move(router)),
        limits_(limits),
        log_(std::move(log)),
        acceptors_(executor),
        serving_(executor),
        none_left_(executor) {}

  void serve(Fd fd) {
    serving_.spawn([](std::shared_ptr<Impl> self, Fd connected) -> Task<void> {
      const Status ended = co_await self->serve_until_closed(std::move(connected));
      self->log_.debug("ttrpc connection ended", {{"reason", ended.error()}});
    }(shared_from_this(), std::move(fd)));
  }

  Task<Status> serve_until_closed(Fd fd) {
    const auto self = shared_from_this();
    if (stopping_) co_return fail(Code::kUnavailable, "serve connection: server is shutting down");
    // Shared with shutdown(), which may still be draining it.
    const auto connection = std::make_shared<Connection>(serving_.executor(), std::move(fd),
                                                         router_, limits_, log_, ++last_id_);
    const Registration registration(*this, connection);
    Status ended = co_await connection->run();
    co_return ended;
  }

  void listen(Fd fd, std::function<bool(int)> accept_peer) {
    acceptors_.spawn(accept_loop(shared_from_this(), std::move(fd), std::move(accept_peer)));
  }

  Task<void> shutdown(Deadline deadline) {
    const auto self = shared_from_this();
    stopping_ = true;
    co_await acceptors_.close();
    Scope draining(serving_.executor());
    for (const auto& connection : std::set(connections_)) {
      draining.spawn([connection, deadline]() { return connection->drain(deadline); });
    }
    co_await draining.join();
    while (!connections_.empty()) co_await none_left_.wait();
    co_await serving_.close();
  }

  void stop() {
    stopping_ = true;
    acceptors_.cancel();
    serving_.cancel();
  }

  [[nodiscard]] std::size_t connections() const { return connections_.size(); }
  [[nodiscard]] std::size_t active_calls() const {
    std::size_t count = 0;
    for (const auto& connection : connections_) count += connection->active_calls();
    return count;
  }

 private:
  class Registration {
   public:
    Registration(Impl& server, std::shared_ptr<Connection> connection)
        : server_(server), connection_(std::move(connection)) {
      server_.connections_.insert(connection_);
    }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() {
      server_.connections_.erase(connection_);
      if (server_.connections_.empty()) server_.none_left_.wake_all();
    }

   private:
    Impl& server_;
    std::shared_ptr<Connection> connection_;
  };

  static Task<void> accept_loop(std::shared_ptr<Impl> self, Fd fd,
                                std::function<bool(int)> accept_peer) {
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    while (!self->stopping_) {
      Fd peer(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (peer.valid()) {
        self->admit(std::move(peer), accept_peer);
        continue;
      }
      const int error = errno;
      if (is_transient(error)) continue;
      if (error != EAGAIN && error != EMFILE && error != ENFILE && error != ENOMEM) {
        self->log_.error("cannot accept connections any more",
                         {{"error", errno_error(error, "accept")}});
        co_return;
      }
      if (error != EAGAIN) {
        self->log_.warn("accepting pauses", {{"error", errno_error(error, "accept")}});
        co_await sleep_for(kAcceptPause);
        continue;
      }
      const auto ready = co_await wait_readable(fd.get());
      if (!ready) {
        self->log_.error("cannot accept connections any more", {{"error", ready.error()}});
        co_return;
      }
    }
  }

  void admit(Fd peer, const std::function<bool(int)>& accept_peer) {
    if (accept_peer && !accept_peer(peer.get())) {
      log_.warn("ttrpc peer refused");
    } else if (connections_.size() >= limits_.max_connections) {
      log_.warn("ttrpc peer refused: too many connections");
    } else {
      serve(std::move(peer));
    }
  }

  Router router_;
  Limits limits_;
  Logger log_;
  std::uint64_t last_id_ = 0;
  bool stopping_ = false;
  std::set<std::shared_ptr<Connection>> connections_;
  Scope acceptors_;
  Scope serving_;
  WaitList none_left_;
};

Server::Server(asio::any_io_executor executor, Router router, Limits limits, Logger log)
    : impl_(
          std::make_shared<Impl>(std::move(executor), std::move(router), limits, std::move(log))) {}

Server::~Server() { impl_->stop(); }

void Server::serve(Fd connected) { impl_->serve(std::move(connected)); }

Task<Status> Server::serve_until_closed(Fd connected) {
  return impl_->serve_until_closed(std::move(connected));
}

void Server::listen(Fd listening, std::function<bool(int fd)> accept_peer) {
  impl_->listen(std::move(listening), std::move(accept_peer));
}

Task<void> Server::shutdown(Deadline drain) { return impl_->shutdown(drain); }

std::size_t Server::connections() const { return impl_->connections(); }

std::size_t Server::active_calls() const { return impl_->active_calls(); }

bool peer_is_same_user(int fd, bool root_too) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (root_too && peer.uid == 0) return true;
  return peer.uid == ::geteuid() && peer.gid == ::getegid();
}

}  // namespace coffer::rpc
