// Work in another network namespace.
#pragma once

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::netlink {

// Opens a namespace file ("/run/netns/x", "/proc/7/ns/net"). kInvalidArgument when it is no network
// namespace.
[[nodiscard]] Result<Fd> open_netns(const std::filesystem::path& path);

// Runs `work` on a thread of its own inside the namespace and waits for it. The caller's thread
// never changes namespace, so that no error path can leave it in the wrong one.
[[nodiscard]] Status in_netns(int netns_fd, const std::function<Status()>& work);

}  // namespace coffer::netlink
