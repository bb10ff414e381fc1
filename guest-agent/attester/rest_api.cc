#include "guest-agent/attester/rest_api.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>

#include "base/bytes.h"
#include "base/secret.h"

namespace coffer::attester {
namespace {

constexpr std::size_t kMaxHead = std::size_t{8} << 10U;
constexpr int kBacklog = 64;
constexpr timeval kPeerPatience{.tv_sec = 5, .tv_usec = 0};
constexpr std::string_view kResource = "/cdh/resource/";

RestReply text(int status, std::string body) {
  return {.status = status, .type = "text/plain", .body = std::move(body)};
}

RestReply reply_of(Result<std::string> got) {
  if (got) return {.status = 200, .type = "application/octet-stream", .body = *std::move(got)};
  switch (got.error().code()) {
    case Code::kNotFound:
      return text(404, got.error().to_string());
    case Code::kPermissionDenied:
      return text(403, got.error().to_string());
    case Code::kInvalidArgument:
      return text(400, got.error().to_string());
    default:
      return text(500, got.error().to_string());
  }
}

std::string_view reason(int status) {
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
    default:
      return "Internal Server Error";
  }
}

// Up to the empty line; what is not there by then is no head.
Result<std::string> read_head(int fd) {
  std::string head;
  std::array<char, 1024> buffer{};
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "read a request");
    if (count == 0) return fail(Code::kInvalidArgument, "read a request: it ends early");
    head.append(buffer.data(), static_cast<std::size_t>(count));
    if (head.size() > kMaxHead) return fail(Code::kResourceExhausted, "read a request: too long");
  }
  return head;
}

void serve_one(const Fd& peer, const RestBackend& backend) {
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(peer.get(), SOL_SOCKET, option, &kPeerPatience, sizeof(kPeerPatience));
  }
  const auto head = read_head(peer.get());
  RestReply reply = head ? answer(*head, backend) : text(400, head.error().to_string());
  const std::string start = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close"
      "\r\n\r\n",
      reply.status, reason(reply.status), reply.type, reply.body.size());
  if (write_all(peer.get(), as_bytes(start), "answer")) {
    std::ignore = write_all(peer.get(), as_bytes(reply.body), "answer");
  }
}

}  // namespace

RestReply answer(std::string_view head, const RestBackend& backend) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const auto first = line.find(' ');
  const auto second = line.rfind(' ');
  if (first == std::string_view::npos || second <= first ||
      !line.substr(second + 1).starts_with("HTTP/1.")) {
    return text(400, "not an HTTP request");
  }
  const std::string_view target = line.substr(first + 1, second - first - 1);
  const std::string_view path = target.substr(0, target.find('?'));
  const bool token = path == "/aa/token";
  if (!token && !path.starts_with(kResource)) return text(404, "no such path");
  if (line.substr(0, first) != "GET") return text(405, "want GET");
  if (token) {
    if (target != "/aa/token?token_type=kbs") return text(400, "want token_type=kbs");
    return reply_of(backend.token());
  }
  if (path.size() != target.size()) return text(400, "want no query");
  return reply_of(backend.resource(path.substr(kResource.size())));
}

Result<Fd> listen_on_loopback(int port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "make a socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // SAFETY: bind(2) takes any address family behind a sockaddr pointer.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return fail_errno(errno, fmt::format("listen on 127.0.0.1:{}", port));
  }
  return fd;
}

Status serve_rest(const Fd& listener, const RestBackend& backend) {
  for (;;) {
    const Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (peer.valid()) {
      serve_one(peer, backend);
    } else if (errno != EINTR && errno != ECONNABORTED && errno != EMFILE) {
      return fail_errno(errno, "accept a container's connection");
    }
  }
}

}  // namespace coffer::attester
