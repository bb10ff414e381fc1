#include "attestation/guest_api/unix_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "rpc/ttrpc/server.h"

namespace coffer::guest_api {
namespace {

constexpr int kBacklog = 16;
constexpr std::chrono::milliseconds kAcceptPause{100};

// A secret's size is the frame's; a guest is small.
rpc::Limits limits() {
  rpc::Limits limits;
  limits.max_calls = 64;
  limits.max_call_bytes = std::size_t{8} << 20U;
  limits.max_queued_bytes = std::size_t{8} << 20U;
  limits.max_connections = 1;
  return limits;
}

Result<Fd> listen_on(const std::filesystem::path& path) {
  const auto what = fmt::format("listen on '{}'", path.string());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& name = path.native();
  if (name.size() >= sizeof(address.sun_path))
    return fail(Code::kInvalidArgument, what + ": path too long");
  std::memcpy(address.sun_path, name.data(), name.size());
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) return fail_errno(failed.value(), what);
  ::unlink(name.c_str());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // SAFETY: sockaddr_un is AF_UNIX's sockaddr.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  // Nobody connects before listen(2), so the mode is set in time.
  if (!fd.valid() || ::bind(fd.get(), generic, sizeof(address)) != 0 ||
      ::chmod(name.c_str(), 0600) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(errno, what);
  return fd;
}

std::optional<int> peer_pid(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.pid;
}

}  // namespace

UnixServer::UnixServer(asio::any_io_executor executor, Backend& backend, UnixSettings settings,
                       Logger log)
    : backend_(backend),
      settings_(std::move(settings)),
      log_(std::move(log)),
      scope_(std::move(executor)) {}

UnixServer::~UnixServer() = default;

Status UnixServer::start() {
  COFFER_TRY(listener_, listen_on(settings_.socket));
  scope_.spawn(accept_loop());
  return {};
}

Task<void> UnixServer::close() { co_await scope_.close(); }

Task<void> UnixServer::accept_loop() {
  for (;;) {
    Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      const auto pid = peer_pid(connection.get());
      // One of the scope's coroutines is this one.
      if (pid && rpc::peer_is_same_user(connection.get()) &&
          scope_.running() <= settings_.max_connections) {
        scope_.spawn(serve(std::move(connection), *pid));
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

Task<void> UnixServer::serve(Fd connection, int pid) {
  const Caller caller{.port = 0, .pid = pid};
  GuardedBackend guarded(backend_, settings_.authorize, caller);
  rpc::Router router;
  settings_.add_services(router, guarded);
  // One for each connection: its backend is the caller's.
  rpc::Server server(scope_.executor(), std::move(router), limits(), log_);
  const Status ended = co_await server.serve_until_closed(std::move(connection));
  log_.debug("guest API connection ended", {{"peer", pid}, {"reason", ended.error()}});
}

}  // namespace coffer::guest_api
