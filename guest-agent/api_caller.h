// Which container has the other end of a loopback connection. Containers share the guest's network,
// so neither address nor port says it: the kernel's socket table names the socket, and whose
// processes hold it says whose it is. Best effort: containers of one pod that help each other
// cannot be told apart, and need not be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::agent {

// The inode of the socket that is bound to `port` and connected to 127.0.0.1:`server_port`, by the
// text of /proc/net/tcp or tcp6 (Linux Documentation/networking/proc_net_tcp.rst). Nothing when
// there is none, or no process holds it any more.
[[nodiscard]] std::optional<std::uint64_t> find_socket(std::string_view table, std::uint16_t port,
                                                       std::uint16_t server_port);

// By container id: the directory of its cgroup.
using CgroupDirectories = std::map<std::string, std::filesystem::path>;

// The only container whose processes hold this socket. kPermissionDenied when there is none, or
// more than one.
[[nodiscard]] Result<std::string> find_holder(std::uint64_t inode, const CgroupDirectories& cgroups,
                                              const std::filesystem::path& proc = "/proc");

// Both in one.
[[nodiscard]] Result<std::string> find_caller(std::uint16_t port, std::uint16_t server_port,
                                              const CgroupDirectories& cgroups,
                                              const std::filesystem::path& proc = "/proc");

}  // namespace coffer::agent
