#include "guest-image/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <limits>
#include <utility>

namespace coffer::guest_image {
namespace {

constexpr std::size_t kAlignment = 4;
constexpr std::size_t kBlock = 512;

Status check_path(std::string_view path) {
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string_view::npos) {
      return fail(Code::kInvalidArgument,
                  fmt::format("add '{}' to the archive: not a plain relative path", path));
    }
    start = end + 1;
  }
  return {};
}

void pad(std::string& out, std::size_t to) { out.append((to - out.size() % to) % to, '\0'); }

struct Header {
  std::uint32_t inode = 0, mode = 0, links = 1, mtime = 0, size = 0, major = 0, minor = 0;
};

void append(std::string& out, const Header& header, std::string_view name,
            std::string_view content) {
  // Fields: magic ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize check.
  fmt::format_to(std::back_inserter(out),
                 "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}"
                 "{:08X}",
                 header.inode, header.mode, 0, 0, header.links, header.mtime, header.size, 0, 0,
                 header.major, header.minor, name.size() + 1, 0);
  out.append(name);
  out.push_back('\0');
  pad(out, kAlignment);
  out.append(content);
  pad(out, kAlignment);
}

}  // namespace

Status CpioTree::add(std::string_view path, Entry entry) {
  COFFER_TRY_VOID(check_path(path));
  if (entry.content.size() > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Code::kResourceExhausted, fmt::format("add '{}' to the archive: too long", path));
  }
  for (auto slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    const auto [parent, made] =
        entries_.try_emplace(std::string(path.substr(0, slash)), Entry{S_IFDIR | 0755, 0, 0, {}});
    if (!S_ISDIR(parent->second.mode)) {
      return fail(
          Code::kInvalidArgument,
          fmt::format("add '{}' to the archive: '{}' is no directory", path, parent->first));
    }
  }
  const auto [it, made] = entries_.try_emplace(std::string(path), entry);
  if (made) return {};
  if (S_ISDIR(it->second.mode) && S_ISDIR(entry.mode)) {
    it->second.mode = entry.mode;
    return {};
  }
  return fail(Code::kAlreadyExists, fmt::format("add '{}' to the archive: there already", path));
}

Status CpioTree::add_directory(std::string_view path, std::uint32_t mode) {
  return add(path, {S_IFDIR | mode, 0, 0, {}});
}

Status CpioTree::add_file(std::string_view path, std::string content, std::uint32_t mode) {
  return add(path, {S_IFREG | mode, 0, 0, std::move(content)});
}

Status CpioTree::add_symlink(std::string_view path, std::string target) {
  return add(path, {S_IFLNK | 0777, 0, 0, std::move(target)});
}

Status CpioTree::add_device(std::string_view path, std::uint32_t mode, std::uint32_t major,
                            std::uint32_t minor) {
  return add(path, {S_IFCHR | mode, major, minor, {}});
}

bool CpioTree::contains(std::string_view path) const { return entries_.contains(path); }

std::string CpioTree::serialize(std::uint32_t mtime) const {
  std::size_t total = kBlock;
  for (const auto& [path, entry] : entries_) total += path.size() + entry.content.size() + 128;
  std::string out;
  out.reserve(total);
  std::uint32_t inode = 0;
  for (const auto& [path, entry] : entries_) {
    const Header header{.inode = ++inode,
                        .mode = entry.mode,
                        .links = S_ISDIR(entry.mode) ? 2U : 1U,
                        .mtime = mtime,
                        .size = static_cast<std::uint32_t>(entry.content.size()),
                        .major = entry.major,
                        .minor = entry.minor};
    append(out, header, path, entry.content);
  }
  append(out, {}, "TRAILER!!!", "");
  pad(out, kBlock);
  return out;
}

}  // namespace coffer::guest_image
