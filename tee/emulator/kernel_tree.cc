#include "tee/emulator/kernel_tree.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

namespace coffer::emulator {
namespace {

constexpr std::string_view kReports = "/sys/kernel/config/tsm/report";
constexpr std::string_view kMeasurements = "/sys/devices/virtual/misc/tdx_guest/measurements";
constexpr unsigned kDirectoryMode = 0755, kReadMode = 0444, kWriteMode = 0200,
                   kReadWriteMode = 0644, kOwnerRead = 0400;
constexpr std::size_t kMaxEntries = 1024;

// `path` without `folder` and the slash behind it; nothing when it is not below it.
std::optional<std::string_view> below(std::string_view path, std::string_view folder) {
  if (!path.starts_with(folder) || path.size() <= folder.size() || path[folder.size()] != '/') {
    return std::nullopt;
  }
  return path.substr(folder.size() + 1);
}

// "/" and every folder on the way to `leaf`, and `leaf` itself.
bool on_the_way(std::string_view path, std::string_view leaf) {
  return path == "/" || path == leaf || below(leaf, path).has_value();
}

// The name that follows `path` on the way to `leaf`.
std::string_view next_on_the_way(std::string_view path, std::string_view leaf) {
  std::string_view rest = path == "/" ? leaf.substr(1) : *below(leaf, path);
  return rest.substr(0, rest.find('/'));
}

}  // namespace

KernelTree::KernelTree(std::unique_ptr<Guest> guest) : guest_(std::move(guest)) {}

OrErrno<KernelTree::Node> KernelTree::find(std::string_view path) const {
  const NodeInfo directory{.directory = true, .mode = kDirectoryMode};
  if (on_the_way(path, kReports)) return Node{.info = directory};
  if (const auto rest = below(path, kReports)) return find_request(*rest);
  if (guest_->measurements().empty()) return std::unexpected(ENOENT);
  if (on_the_way(path, kMeasurements)) return Node{.info = directory};
  if (const auto name = below(path, kMeasurements)) return find_measurement(*name);
  return std::unexpected(ENOENT);
}

OrErrno<KernelTree::Node> KernelTree::find_request(std::string_view rest) const {
  const auto slash = rest.find('/');
  const auto entry = entries_.find(rest.substr(0, slash));
  if (entry == entries_.end()) return std::unexpected(ENOENT);
  if (slash == std::string_view::npos) {
    return Node{.info = {.directory = true, .mode = kDirectoryMode}, .directory = entry->first};
  }
  const std::string_view name = rest.substr(slash + 1);
  for (const auto& attribute : tsm_attributes(*guest_)) {
    if (attribute.name != name) continue;
    const bool read = attribute.access == Access::kRead;
    return Node{.info = {.directory = false, .mode = read ? kReadMode : kWriteMode},
                .entry = entry->second,
                .file = std::string(name),
                .binary = attribute.binary};
  }
  return std::unexpected(ENOENT);
}

OrErrno<KernelTree::Node> KernelTree::find_measurement(std::string_view name) const {
  for (const auto& file : guest_->measurements()) {
    if (file.name != name) continue;
    return Node{.info = {.mode = file.extendable ? kReadWriteMode : kReadMode}, .file = file.name};
  }
  return std::unexpected(ENOENT);
}

OrErrno<NodeInfo> KernelTree::info(std::string_view path) const {
  const auto node = find(path);
  if (!node) return std::unexpected(node.error());
  return node->info;
}

OrErrno<std::vector<std::string>> KernelTree::list(std::string_view path) const {
  const auto node = find(path);
  if (!node) return std::unexpected(node.error());
  if (!node->info.directory) return std::unexpected(ENOTDIR);
  std::set<std::string> names;
  if (!node->directory.empty()) {
    for (const auto& attribute : tsm_attributes(*guest_)) names.emplace(attribute.name);
  } else if (path == kReports) {
    for (const auto& [name, entry] : entries_) names.emplace(name);
  } else if (path == kMeasurements) {
    for (const auto& file : guest_->measurements()) names.emplace(file.name);
  } else {
    if (on_the_way(path, kReports)) names.emplace(next_on_the_way(path, kReports));
    if (!guest_->measurements().empty() && on_the_way(path, kMeasurements)) {
      names.emplace(next_on_the_way(path, kMeasurements));
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

OrErrno<void> KernelTree::make_directory(std::string_view path) {
  if (find(path)) return std::unexpected(EEXIST);
  const auto name = below(path, kReports);
  if (!name || name->contains('/')) return std::unexpected(EPERM);
  if (entries_.size() >= kMaxEntries) return std::unexpected(ENOMEM);
  entries_.emplace(*name, std::make_shared<TsmEntry>(*guest_));
  return {};
}

OrErrno<void> KernelTree::remove_directory(std::string_view path) {
  const auto node = find(path);
  if (!node) return std::unexpected(node.error());
  if (!node->info.directory) return std::unexpected(ENOTDIR);
  if (node->directory.empty()) return std::unexpected(EPERM);
  entries_.erase(node->directory);
  return {};
}

OrErrno<std::uint64_t> KernelTree::open(std::string_view path, Access access) {
  auto node = find(path);
  if (!node) return std::unexpected(node.error());
  if (node->info.directory) return std::unexpected(EISDIR);
  const unsigned needed = access == Access::kRead ? kOwnerRead : kWriteMode;
  if ((node->info.mode & needed) == 0) return std::unexpected(EACCES);
  const std::uint64_t handle = next_handle_++;
  handles_.emplace(handle, Handle{.node = *std::move(node), .access = access});
  return handle;
}

OrErrno<Bytes> KernelTree::read(std::uint64_t handle, std::uint64_t offset, std::size_t size) {
  const auto at = handles_.find(handle);
  if (at == handles_.end() || at->second.access != Access::kRead) return std::unexpected(EBADF);
  Handle& open = at->second;
  if (!open.loaded) {
    auto content = open.node.entry ? open.node.entry->read(open.node.file)
                                   : guest_->measurement(open.node.file);
    if (!content) return std::unexpected(content.error());
    open.content = *std::move(content);
    open.loaded = true;
  }
  const std::size_t from = std::min<std::uint64_t>(offset, open.content.size());
  const BytesView part = BytesView(open.content).subspan(from);
  const BytesView out = part.first(std::min(size, part.size()));
  return Bytes(out.begin(), out.end());
}

OrErrno<void> KernelTree::store(const Node& node, BytesView bytes) {
  if (node.entry) return node.entry->write(node.file, bytes);
  return guest_->extend(node.file, bytes);
}

OrErrno<std::size_t> KernelTree::write(std::uint64_t handle, std::uint64_t offset,
                                       BytesView bytes) {
  const auto at = handles_.find(handle);
  if (at == handles_.end() || at->second.access != Access::kWrite) return std::unexpected(EBADF);
  Handle& open = at->second;
  if (!open.node.binary) {
    const auto stored = store(open.node, bytes);
    if (!stored) return std::unexpected(stored.error());
    return bytes.size();
  }
  if (offset > TsmEntry::kMaxInblob || bytes.size() > TsmEntry::kMaxInblob - offset) {
    return std::unexpected(EFBIG);
  }
  open.content.resize(std::max<std::size_t>(open.content.size(), offset + bytes.size()));
  std::ranges::copy(bytes, open.content.begin() + static_cast<std::ptrdiff_t>(offset));
  open.pending = true;
  return bytes.size();
}

void KernelTree::flush(std::uint64_t handle) {
  const auto at = handles_.find(handle);
  if (at == handles_.end() || !std::exchange(at->second.pending, false)) return;
  static_cast<void>(store(at->second.node, at->second.content));
}

}  // namespace coffer::emulator
