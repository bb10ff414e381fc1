// Writes the archive that the kernel unpacks as its initial file system: the "new ASCII" cpio
// format (magic 070701) of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
//
// Deterministic: entries are sorted by path, inode numbers follow that order, every owner is root
// and every time is the one given. The same tree gives the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::guest_image {

class CpioTree {
 public:
  // Paths are relative to the root, without a leading slash: "usr/bin/crun". Parent directories
  // that were not added come into being with mode 0755. Adding a path again is kAlreadyExists,
  // unless both are directories; a path with an empty, "." or ".." part is kInvalidArgument.
  [[nodiscard]] Status add_directory(std::string_view path, std::uint32_t mode = 0755);
  [[nodiscard]] Status add_file(std::string_view path, std::string content, std::uint32_t mode);
  [[nodiscard]] Status add_symlink(std::string_view path, std::string target);
  // A character device, such as dev/console.
  [[nodiscard]] Status add_device(std::string_view path, std::uint32_t mode, std::uint32_t major,
                                  std::uint32_t minor);

  [[nodiscard]] bool contains(std::string_view path) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  // The archive, with the trailer and padded to 512 bytes. `mtime` is in seconds since 1970.
  [[nodiscard]] std::string serialize(std::uint32_t mtime) const;

 private:
  struct Entry {
    std::uint32_t mode = 0;
    std::uint32_t major = 0, minor = 0;
    std::string content;
  };
  [[nodiscard]] Status add(std::string_view path, Entry entry);

  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace coffer::guest_image
