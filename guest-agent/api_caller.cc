#include "guest-agent/api_caller.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/fd.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

// Some 100,000 connections.
constexpr std::size_t kMaxTable = std::size_t{16} << 20U;
constexpr std::size_t kMaxProcs = std::size_t{1} << 20U;
// 127.0.0.1 as the kernel prints it, and mapped into IPv6.
constexpr std::string_view kLoopback = "0100007F";
constexpr std::string_view kMappedLoopback = "0000000000000000FFFF00000100007F";

template <typename Number>
bool parse(std::string_view text, Number& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc{} && end == text.data() + text.size();
}

// Takes the next word off `line`; empty at its end.
std::string_view next_word(std::string_view& line) {
  const auto start = line.find_first_not_of(' ');
  if (start == std::string_view::npos) return line = {};
  line.remove_prefix(start);
  const auto word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

bool has_port(std::string_view address, std::uint16_t port) {
  std::uint16_t found = 0;
  const auto colon = address.find(':');
  return colon != std::string_view::npos && parse(address.substr(colon + 1), found, 16) &&
         found == port;
}

bool is_loopback(std::string_view address) {
  const auto ip = address.substr(0, address.find(':'));
  return ip == kLoopback || ip == kMappedLoopback;
}

bool holds(const fs::path& process, const std::string& socket) {
  std::error_code error;
  for (fs::directory_iterator it(process / "fd", error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(it->path(), gone) == socket) return true;
  }
  return false;
}

// Whether a process of this cgroup alone, not of those below, holds the socket.
bool any_holds(const fs::path& cgroup, const fs::path& proc, const std::string& socket) {
  const auto text = read_file(cgroup / "cgroup.procs", kMaxProcs);
  if (!text) return false;
  for (std::size_t at = 0; at < text->size();) {
    const auto end = std::min(text->find('\n', at), text->size());
    if (holds(proc / text->substr(at, end - at), socket)) return true;
    at = end + 1;
  }
  return false;
}

bool container_holds(const fs::path& cgroup, const fs::path& proc, const std::string& socket) {
  if (any_holds(cgroup, proc, socket)) return true;
  std::error_code error;
  for (fs::recursive_directory_iterator it(cgroup, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code gone;
    if (it->is_directory(gone) && any_holds(it->path(), proc, socket)) return true;
  }
  return false;
}

}  // namespace

std::optional<std::uint64_t> find_socket(std::string_view table, std::uint16_t port,
                                         std::uint16_t server_port) {
  // Behind sl, local and remote address: st, queues, timer, retransmits, uid, timeout, inode.
  constexpr int kInode = 7;
  while (!table.empty()) {
    std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    next_word(line);
    const auto local = next_word(line);
    const auto remote = next_word(line);
    // Both ends: another 127.x.y.z may have a connection from the same port, and be another's.
    if (!has_port(local, port) || !has_port(remote, server_port) || !is_loopback(local) ||
        !is_loopback(remote))
      continue;
    std::string_view word;
    for (int i = 0; i < kInode; ++i) word = next_word(line);
    std::uint64_t inode = 0;
    if (parse(word, inode) && inode != 0) return inode;
  }
  return std::nullopt;
}

Result<std::string> find_holder(std::uint64_t inode, const CgroupDirectories& cgroups,
                                const fs::path& proc) {
  const auto socket = fmt::format("socket:[{}]", inode);
  std::string found;
  for (const auto& [id, cgroup] : cgroups) {
    if (!container_holds(cgroup, proc, socket)) continue;
    if (!found.empty())
      return fail(Code::kPermissionDenied,
                  fmt::format("containers '{}' and '{}' hold the same connection", found, id));
    found = id;
  }
  if (found.empty())
    return fail(Code::kPermissionDenied, "no container of this pod holds the connection");
  return found;
}

Result<std::string> find_caller(std::uint16_t port, std::uint16_t server_port,
                                const CgroupDirectories& cgroups, const fs::path& proc) {
  for (const char* name : {"net/tcp", "net/tcp6"}) {
    const auto table = read_file(proc / name, kMaxTable);
    // A kernel without IPv6 has no second table.
    if (!table && table.error().code() == Code::kNotFound) continue;
    if (!table) return fail(table.error());
    if (const auto inode = find_socket(*table, port, server_port))
      return find_holder(*inode, cgroups, proc);
  }
  return fail(Code::kPermissionDenied, "nobody holds the connection any more");
}

}  // namespace coffer::agent
