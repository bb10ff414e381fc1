#include "tests/tee/tpm/swtpm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <optional>

namespace coffer::tpm {
namespace {

constexpr int kAttempts = 20;
constexpr const char* kReady = "ready";

// A loopback port that is free now, or the given one if it is.
std::optional<unsigned> bind_port(unsigned port, Fd& socket) {
  socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);  // SAFETY: as bind(2) defines it.
  if (::bind(socket.get(), raw, size) != 0) return std::nullopt;
  if (::getsockname(socket.get(), raw, &size) != 0) return std::nullopt;
  return ntohs(address.sin_port);
}

// tpm2-tss wants the control channel one above the commands'. Free again when this returns: another
// may take them first, and then swtpm does not start and we try others.
std::optional<unsigned> two_free_ports() {
  Fd first;
  Fd second;
  const auto port = bind_port(0, first);
  if (!port || *port == 65535 || !bind_port(*port + 1, second)) return std::nullopt;
  return port;
}

Result<Child> spawn_swtpm(const std::filesystem::path& state, unsigned port) {
  SpawnOptions options;
  options.argv = {kSwtpm,
                  "socket",
                  "--tpm2",
                  "--tpmstate",
                  fmt::format("dir={}", state.native()),
                  "--server",
                  fmt::format("type=tcp,port={}", port),
                  "--ctrl",
                  fmt::format("type=tcp,port={}", port + 1),
                  "--flags",
                  "not-need-init,startup-clear",
                  "--pid",
                  fmt::format("file={}", (state / kReady).native())};
  options.parent_death_signal = SIGKILL;
  return spawn(options);
}

// swtpm writes its pid when it listens on both.
bool wait_ready(int fifo, int child) {
  std::array<pollfd, 2> polled = {pollfd{.fd = fifo, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = child, .events = POLLIN, .revents = 0}};
  while (::poll(polled.data(), polled.size(), -1) < 0 && errno == EINTR) {
  }
  return (polled[0].revents & POLLIN) != 0;
}

}  // namespace

Result<std::unique_ptr<Swtpm>> Swtpm::start() {
  std::string path = (std::filesystem::temp_directory_path() / "coffer-swtpm-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return fail_errno(errno, "make a folder for swtpm");
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto port = two_free_ports();
    if (!port) continue;
    const auto ready = std::filesystem::path(path) / kReady;
    static_cast<void>(::unlink(ready.c_str()));
    if (::mkfifo(ready.c_str(), 0600) != 0) return fail_errno(errno, "make a fifo for swtpm");
    COFFER_TRY(const Fd fifo, open_file(ready, O_RDONLY | O_NONBLOCK));
    COFFER_TRY(Child child, spawn_swtpm(path, *port));
    if (wait_ready(fifo.get(), child.pidfd())) {
      return std::unique_ptr<Swtpm>(new Swtpm(path, *port, std::move(child)));
    }
  }
  std::filesystem::remove_all(path);
  return fail(Code::kUnavailable, "start swtpm: it ended before it listened");
}

Swtpm::~Swtpm() {
  std::error_code ignored;
  std::filesystem::remove_all(state_, ignored);
}

std::string Swtpm::tcti() const { return fmt::format("swtpm:host=127.0.0.1,port={}", port_); }

}  // namespace coffer::tpm
