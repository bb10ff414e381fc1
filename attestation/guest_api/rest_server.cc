#include "attestation/guest_api/rest_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace coffer::guest_api {
namespace {

constexpr int kBacklog = 32;
constexpr std::chrono::milliseconds kAcceptPause{100};

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Payload Too Large";
    case 501:
      return "Not Implemented";
    default:
      return "Internal Server Error";
  }
}

// 127.0.0.1 itself, which is what a connection to it comes from. From there a port names one
// caller; with all of 127.0.0.0/8 a container could take the port of another's connection.
bool is_loopback(const sockaddr_in& peer) {
  return peer.sin_family == AF_INET && ntohl(peer.sin_addr.s_addr) == INADDR_LOOPBACK;
}

// SAFETY: the sockets API takes every address family through a pointer to sockaddr.
sockaddr* generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

Task<Status> send_all(int fd, BytesView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN) co_return fail_errno(error, "send reply");
    const auto ready = co_await wait_writable(fd, deadline);
    if (!ready) co_return fail(ready.error());
    if (!*ready) co_return fail(Code::kDeadlineExceeded, "send reply: the peer does not read");
  }
  co_return Status{};
}

std::string head_of(const HttpReply& reply, bool keep_alive) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\n"
      "connection: {}\r\n\r\n",
      reply.status, reason_of(reply.status), reply.content_type, reply.body.size(),
      keep_alive ? "keep-alive" : "close");
}

}  // namespace

RestServer::RestServer(asio::any_io_executor executor, Backend& backend, RestSettings settings)
    : backend_(backend), settings_(std::move(settings)), scope_(std::move(executor)) {}

RestServer::~RestServer() = default;

Status RestServer::start() {
  listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto what = fmt::format("listen on 127.0.0.1:{}", settings_.port);
  if (!listener_.valid()) return fail_errno(errno, what);
  const int on = 1;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(settings_.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), generic(address), size) != 0 ||
      ::listen(listener_.get(), kBacklog) != 0 ||
      ::getsockname(listener_.get(), generic(address), &size) != 0) {
    const int error = errno;
    if (error == EADDRINUSE) return fail(Code::kAlreadyExists, what + ": the port is taken");
    return fail_errno(error, what);
  }
  port_ = ntohs(address.sin_port);
  scope_.spawn(accept_loop());
  return {};
}

Task<void> RestServer::close() { co_await scope_.close(); }

Task<void> RestServer::accept_loop() {
  for (;;) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    Fd connection(::accept4(listener_.get(), generic(peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      // One of the scope's coroutines is this one.
      if (is_loopback(peer) && scope_.running() <= settings_.max_connections) {
        scope_.spawn(serve(std::move(connection), ntohs(peer.sin_port)));
      }
      continue;
    }
    if (errno == EAGAIN) {
      const auto ready = co_await wait_readable(listener_.get());
      if (!ready) co_return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      co_await sleep_for(kAcceptPause);
    }
  }
}

Task<void> RestServer::serve(Fd connection, std::uint16_t peer_port) {
  std::string buffer;
  const Caller caller{.port = peer_port, .pid = 0};
  GuardedBackend guarded(backend_, settings_.authorize, caller);
  for (bool more = true; more;) more = co_await serve_one(connection.get(), guarded, buffer);
}

Task<Result<HttpRequest>> RestServer::read_request(int fd, std::string& buffer) {
  RequestParser parser;
  const Deadline deadline = deadline_in(settings_.io_timeout);
  std::array<char, 4096> chunk{};
  for (;;) {
    if (!buffer.empty()) {
      const auto used = parser.feed(buffer);
      if (!used) co_return fail(used.error());
      buffer.erase(0, *used);
      if (parser.done()) co_return parser.take();
    }
    const auto count = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (count > 0) {
      buffer.append(chunk.data(), static_cast<std::size_t>(count));
      continue;
    }
    if (count == 0) co_return fail(Code::kCancelled, "read request: the peer has gone");
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN) co_return fail_errno(error, "read request");
    const auto ready = co_await wait_readable(fd, deadline);
    if (!ready) co_return fail(ready.error());
    if (!*ready) co_return fail(Code::kDeadlineExceeded, "read request: it does not come");
  }
}

// False: the connection is to be closed.
Task<bool> RestServer::serve_one(int fd, Backend& backend, std::string& buffer) {
  auto request = co_await read_request(fd, buffer);
  HttpReply reply;
  bool keep_alive = false;
  if (request) {
    keep_alive = request->keep_alive;
    reply = co_await answer(backend, settings_.features, *std::move(request));
  } else if (request.error().code() == Code::kInvalidArgument) {
    reply = error_reply(request.error());
  } else if (request.error().code() == Code::kResourceExhausted) {
    reply = text_reply(413, request.error().message());
  } else {
    co_return false;
  }
  const std::string head = head_of(reply, keep_alive);
  const Deadline deadline = deadline_in(settings_.io_timeout);
  const Status head_sent = co_await send_all(fd, as_bytes(head), deadline);
  if (!head_sent) co_return false;
  const Status body_sent = co_await send_all(fd, reply.body.view(), deadline);
  co_return body_sent.has_value() && keep_alive;
}

}  // namespace coffer::guest_api
