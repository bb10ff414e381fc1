// Where the agent is reached: a vsock or Unix listener, or a virtio-serial port that carries one
// connection at a time.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"

namespace coffer::rpc {
class Server;
}

namespace coffer::agent {

inline constexpr std::string_view kSerialPortName = "org.coffer.agent.0";
inline constexpr unsigned kVsockPort = 1024;

// "vsock://<cid>:<port>" (cid -1: any), "unix://<path>", "serial://<device>".
struct Address {
  enum class Kind : std::uint8_t { kVsock, kUnix, kSerial };
  Kind kind = Kind::kVsock;
  unsigned cid = 0xffffffff;
  unsigned port = kVsockPort;
  std::filesystem::path path;
};
[[nodiscard]] Result<Address> parse_address(std::string_view text);

// The device node of the virtio-serial port of that name.
[[nodiscard]] std::optional<std::filesystem::path> find_serial_port(
    std::string_view name, const std::filesystem::path& sys = "/sys",
    const std::filesystem::path& dev = "/dev");

// What to serve on when the configuration names nothing: the serial port if the machine has it.
[[nodiscard]] Address default_address();

// Listeners: returns at once, the server goes on. The serial port: serves until `stop` is set (and
// the server then shut down). An error: the address cannot be used.
[[nodiscard]] Task<Status> serve_on(rpc::Server& server, Address address, const Event& stop,
                                    Logger log);

}  // namespace coffer::agent
