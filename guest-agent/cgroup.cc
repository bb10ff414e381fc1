#include "guest-agent/cgroup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/fd.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <typename Visit>
void for_each_piece(std::string_view text, char separator, Visit visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// "system.slice:cri-containerd:abc" -> "system.slice/cri-containerd-abc.scope", as systemd lays
// out.
std::string without_systemd(std::string_view path) {
  const auto first = path.find(':');
  const auto second = first == std::string_view::npos ? first : path.find(':', first + 1);
  if (second == std::string_view::npos || path.find('/') != std::string_view::npos)
    return std::string(path);
  const auto slice = path.substr(0, first);
  const auto prefix = path.substr(first + 1, second - first - 1);
  const auto name = path.substr(second + 1);
  std::string leaf(prefix.empty() ? name : fmt::format("{}-{}.scope", prefix, name));
  return slice.empty() ? leaf : fmt::format("{}/{}", slice, leaf);
}

}  // namespace

Result<Cgroup> Cgroup::at(const fs::path& root, std::string_view path) {
  std::string clean;
  Status bad;
  auto plain = without_systemd(path);
  // Before the look at its pieces: "a:..:b" has three.
  std::ranges::replace(plain, ':', '/');
  for_each_piece(plain, '/', [&](std::string_view piece) {
    if (piece == "." || piece == ".." || piece.size() > 255 ||
        piece.find('\0') != std::string_view::npos)
      bad = fail(Code::kInvalidArgument, fmt::format("read cgroups path '{}': component '{}' is "
                                                     "not allowed",
                                                     path, piece));
    clean += '/';
    clean += piece;
  });
  COFFER_TRY_VOID(std::move(bad));
  if (clean.empty())
    return fail(Code::kInvalidArgument, "read cgroups path: empty, want a path below the root");
  return Cgroup(root / clean.substr(1), clean);
}

bool Cgroup::exists() const {
  std::error_code ignored;
  return fs::is_directory(directory_, ignored);
}

Status Cgroup::freeze(bool frozen) const {
  return write_file(directory_ / "cgroup.freeze", frozen ? "1" : "0");
}

Status Cgroup::kill() const { return write_file(directory_ / "cgroup.kill", "1"); }

bool Cgroup::populated() const {
  const auto events = read_file(directory_ / "cgroup.events", 4096);
  if (!events) return false;
  const auto values = parse_flat_keyed(*events);
  const auto found = values.find("populated");
  return found != values.end() && found->second != 0;
}

Status Cgroup::remove() const {
  std::error_code error;
  std::vector<fs::path> nested{directory_};
  for (auto it = fs::recursive_directory_iterator(directory_, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error))
    if (it->is_directory(error)) nested.push_back(it->path());
  for (auto dir = nested.rbegin(); dir != nested.rend(); ++dir) {
    if (::rmdir(dir->c_str()) == 0 || errno == ENOENT) continue;
    const int err = errno;
    if (err == EBUSY)
      return fail(Code::kFailedPrecondition,
                  fmt::format("remove cgroup '{}': it still has processes", dir->string()));
    return fail_errno(err, fmt::format("remove cgroup '{}'", dir->string()));
  }
  return {};
}

std::uint64_t Cgroup::oom_kills() const {
  const auto events = read_file(directory_ / "memory.events", 4096);
  if (!events) return 0;
  const auto values = parse_flat_keyed(*events);
  const auto found = values.find("oom_kill");
  return found == values.end() ? 0 : found->second;
}

std::map<std::string, std::uint64_t> parse_flat_keyed(std::string_view text) {
  std::map<std::string, std::uint64_t> values;
  for_each_piece(text, '\n', [&](std::string_view line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos || space == 0) return;
    if (const auto number = to_number(line.substr(space + 1)))
      values.emplace(line.substr(0, space), *number);
  });
  return values;
}

std::vector<IoStatLine> parse_io_stat(std::string_view text) {
  std::vector<IoStatLine> lines;
  for_each_piece(text, '\n', [&](std::string_view line) {
    IoStatLine out;
    bool numbered = false;
    for_each_piece(line, ' ', [&](std::string_view word) {
      if (const auto colon = word.find(':'); !numbered && colon != std::string_view::npos) {
        const auto major = to_number(word.substr(0, colon));
        const auto minor = to_number(word.substr(colon + 1));
        if (!major || !minor) return;
        out.major = *major;
        out.minor = *minor;
        numbered = true;
      } else if (const auto equals = word.find('='); equals != std::string_view::npos) {
        if (const auto number = to_number(word.substr(equals + 1)))
          out.values.emplace(word.substr(0, equals), *number);
      }
    });
    if (numbered) lines.push_back(std::move(out));
  });
  return lines;
}

Status enable_controllers(const fs::path& root) {
  COFFER_TRY(const auto offered, read_file(root / "cgroup.controllers", 4096));
  Status status;
  for_each_piece(offered, ' ', [&](std::string_view name) {
    if (name.ends_with('\n')) name.remove_suffix(1);
    // One write each: a single refused controller must not take the others with it.
    if (auto one = write_file(root / "cgroup.subtree_control", fmt::format("+{}", name)); !one)
      status = std::move(one);
  });
  return status;
}

}  // namespace coffer::agent
