#include "guest-agent/transport.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <charconv>
#include <cstring>

#include "rpc/ttrpc/server.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kBacklog = 64;

Result<Fd> listen_on(int family, const sockaddr* address, socklen_t size, std::string_view what) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || ::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(errno, fmt::format("listen on {}", what));
  return fd;
}

Result<Fd> listen_vsock(const Address& where) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = where.cid;
  address.svm_port = where.port;
  // SAFETY: sockaddr_vm is AF_VSOCK's sockaddr.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return listen_on(AF_VSOCK, generic, sizeof(address), fmt::format("vsock port {}", where.port));
}

Result<Fd> listen_unix(const Address& where) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& path = where.path.native();
  if (path.size() >= sizeof(address.sun_path))
    return fail(Code::kInvalidArgument, fmt::format("listen on '{}': path too long", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  ::unlink(path.c_str());
  // SAFETY: sockaddr_un is AF_UNIX's sockaddr.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return listen_on(AF_UNIX, generic, sizeof(address), fmt::format("'{}'", path));
}

// Containers have AF_VSOCK too, and no network namespace keeps it from them: only the host is
// heard.
bool is_host(int fd) {
  sockaddr_vm peer{};
  socklen_t size = sizeof(peer);
  // SAFETY: sockaddr_vm is AF_VSOCK's sockaddr.
  auto* generic = reinterpret_cast<sockaddr*>(&peer);
  return ::getpeername(fd, generic, &size) == 0 && peer.svm_family == AF_VSOCK &&
         peer.svm_cid == VMADDR_CID_HOST;
}

bool host_connected(int port) {
  pollfd entry{.fd = port, .events = POLLOUT, .revents = 0};
  return ::poll(&entry, 1, 0) >= 0 && (entry.revents & POLLHUP) == 0;
}

// A port whose host side is closed reports "hang-up" all the time, and the driver has no event for
// the host's coming back that a poll set could wait for: it is asked now and then.
Task<void> wait_for_host(int port) {
  constexpr auto kPause = std::chrono::milliseconds(5);
  while (!host_connected(port)) co_await sleep_for(kPause);
}

Task<Status> serve_serial(rpc::Server& server, Address where, const Event& stop, Logger log) {
  while (!stop.is_set()) {
    // Opened anew for each connection: closing discards what the last host left unread.
    COFFER_CO_TRY(auto port, open_file(where.path, O_RDWR | O_NONBLOCK));
    co_await wait_for_host(port.get());
    const auto status = co_await server.serve_until_closed(std::move(port));
    if (!status) log.debug("serial connection ended", {{"reason", status.error()}});
  }
  co_return Status{};
}

template <typename Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  constexpr std::string_view kVsock = "vsock://";
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kSerial = "serial://";
  const auto refuse = [&](std::string_view want) {
    return fail(Code::kInvalidArgument,
                fmt::format("read server address '{}': want {}", text, want));
  };
  Address address;
  if (text.starts_with(kUnix) || text.starts_with(kSerial)) {
    const bool serial = text.starts_with(kSerial);
    address.kind = serial ? Address::Kind::kSerial : Address::Kind::kUnix;
    address.path = text.substr(serial ? kSerial.size() : kUnix.size());
    if (!address.path.is_absolute()) return refuse("an absolute path");
    return address;
  }
  if (!text.starts_with(kVsock)) return refuse("vsock://CID:PORT, unix://PATH or serial://DEVICE");
  const auto rest = text.substr(kVsock.size());
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return refuse("vsock://CID:PORT");
  const auto cid = rest.substr(0, colon);
  if (cid != "-1" && !parse_number(cid, address.cid)) return refuse("a CID, or -1 for any");
  if (!parse_number(rest.substr(colon + 1), address.port)) return refuse("a port number");
  return address;
}

std::optional<fs::path> find_serial_port(std::string_view name, const fs::path& sys,
                                         const fs::path& dev) {
  std::error_code error;
  for (auto it = fs::directory_iterator(sys / "class/virtio-ports", error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    auto text = read_file(it->path() / "name", 256);
    if (!text) continue;
    while (!text->empty() && text->back() == '\n') text->pop_back();
    if (*text == name) return dev / it->path().filename();
  }
  return std::nullopt;
}

Address default_address() {
  Address address;
  if (auto port = find_serial_port(kSerialPortName)) {
    address.kind = Address::Kind::kSerial;
    address.path = *std::move(port);
  }
  return address;
}

Task<Status> serve_on(rpc::Server& server, Address address, const Event& stop, Logger log) {
  if (address.kind == Address::Kind::kSerial) {
    auto status = co_await serve_serial(server, std::move(address), stop, std::move(log));
    co_return status;
  }
  const bool vsock = address.kind == Address::Kind::kVsock;
  auto listening = vsock ? listen_vsock(address) : listen_unix(address);
  if (!listening) co_return fail(std::move(listening).error());
  server.listen(*std::move(listening), vsock ? std::function<bool(int)>(is_host) : nullptr);
  co_return Status{};
}

}  // namespace coffer::agent
