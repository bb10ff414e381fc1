// Where a shim listens: a path that every container of a sandbox computes alike, so that no
// registry is needed to find the sandbox's shim.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::shim {

inline constexpr std::string_view kDefaultSocketDir = "/run/containerd/s";

// DIR/<hex sha256 of path-join(address, namespace, id)>, `id` being the sandbox's.
[[nodiscard]] std::filesystem::path socket_path(std::string_view dir, std::string_view address,
                                                std::string_view containerd_namespace,
                                                std::string_view id);

// Go's path.Join for these operands: empty ones skipped, "//", "." and ".." resolved.
[[nodiscard]] std::string join_path(std::span<const std::string_view> parts);

// Somebody listens there already.
struct Joined {};

// Binds and listens, 0600 below a 0700 folder. A stale socket is replaced; when a live shim has it,
// the answer is Joined. kUnavailable when the path is fought over and stays taken.
[[nodiscard]] Result<std::variant<Fd, Joined>> listen_or_join(const std::filesystem::path& path);

// Whether a connection to the socket is accepted.
[[nodiscard]] bool is_listening(const std::filesystem::path& path);

}  // namespace coffer::shim
