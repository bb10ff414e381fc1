#include "shim/bootstrap/socket.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "shim/bootstrap/sha256.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

Result<sockaddr_un> unix_address(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) {
    return fail(Code::kInvalidArgument,
                fmt::format("make socket '{}': the path has {} bytes, at most {} fit (choose a "
                            "shorter socket_dir)",
                            text, text.size(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(static_cast<char*>(address.sun_path), text.data(), text.size());
  return address;
}

Result<Fd> new_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "make a Unix socket");
  return fd;
}

// SAFETY: bind(2) and connect(2) take any address family behind a sockaddr pointer.
const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast)
}

Status make_socket_dir(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir.parent_path(), error);
  if (error) return fail_errno(error.value(), fmt::format("make '{}'", dir.parent_path().native()));
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(errno, fmt::format("make '{}'", dir.native()));
  }
  return {};
}

// An empty Fd says that the address is in use.
Result<Fd> try_bind(const sockaddr_un& address, const fs::path& path) {
  COFFER_TRY(Fd fd, new_socket());
  // The mode is set before anybody can connect: the folder's umask-made socket inherits it.
  if (::fchmod(fd.get(), 0600) != 0) return fail_errno(errno, "set the socket's mode");
  if (::bind(fd.get(), generic(address), sizeof(address)) != 0) {
    if (errno == EADDRINUSE) return Fd();
    return fail_errno(errno, fmt::format("bind socket '{}'", path.native()));
  }
  constexpr int kBacklog = 64;
  if (::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return fail_errno(errno, fmt::format("listen on '{}'", path.native()));
  }
  return fd;
}

}  // namespace

std::string join_path(std::span<const std::string_view> parts) {
  std::string joined;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (!joined.empty()) joined.push_back('/');
    joined.append(part);
  }
  if (joined.empty()) return joined;
  const bool rooted = joined.front() == '/';
  std::vector<std::string> kept;
  for (const fs::path& component : fs::path(joined).relative_path()) {
    const std::string& name = component.native();
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      kept.push_back(name);
    } else if (!kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (!rooted) {
      kept.push_back(name);
    }
  }
  std::string out = rooted ? "/" : "";
  for (std::size_t i = 0; i < kept.size(); ++i) out += (i == 0 ? "" : "/") + kept[i];
  return out.empty() ? "." : out;
}

fs::path socket_path(std::string_view dir, std::string_view address,
                     std::string_view containerd_namespace, std::string_view id) {
  const std::array parts = {address, containerd_namespace, id};
  return fs::path(dir) / sha256_hex(join_path(parts));
}

bool is_listening(const fs::path& path) {
  const auto address = unix_address(path);
  if (!address) return false;
  const auto fd = new_socket();
  if (!fd) return false;
  int done = -1;
  do {
    done = ::connect(fd->get(), generic(*address), sizeof(*address));
  } while (done != 0 && errno == EINTR);
  // A full backlog is a busy shim, not a dead one.
  return done == 0 || errno == EAGAIN;
}

Result<std::variant<Fd, Joined>> listen_or_join(const fs::path& path) {
  COFFER_TRY(const sockaddr_un address, unix_address(path));
  COFFER_TRY_VOID(make_socket_dir(path.parent_path()));
  COFFER_TRY(Fd first, try_bind(address, path));
  if (first.valid()) return first;
  if (is_listening(path)) return Joined{};
  ::unlink(path.c_str());
  COFFER_TRY(Fd second, try_bind(address, path));
  if (second.valid()) return second;
  if (is_listening(path)) return Joined{};
  return fail(Code::kUnavailable,
              fmt::format("bind socket '{}': it is in use, and nobody listens (two starts of one "
                          "id at once?)",
                          path.native()));
}

}  // namespace coffer::shim
