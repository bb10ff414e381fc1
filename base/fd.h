// Owned file descriptors and whole-file reads and writes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer {

// Owns one file descriptor and closes it.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC added; errors name the path.
[[nodiscard]] Result<Fd> open_file(const std::filesystem::path& path, int flags, unsigned mode = 0);

// Whole content, at most `limit` bytes: a longer file is kResourceExhausted, never cut silently.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t limit = std::size_t{64} << 20U);
[[nodiscard]] Result<std::string> read_all(int fd, std::size_t limit, std::string_view what);

// Creates or truncates. Not atomic: for pseudo files and scratch.
[[nodiscard]] Status write_file(const std::filesystem::path& path, std::string_view content,
                                unsigned mode = 0644);
// Temp file, fsync, rename: readers see the old or the new content, also after a crash.
[[nodiscard]] Status write_file_atomic(const std::filesystem::path& path, std::string_view content,
                                       unsigned mode = 0644);
// Loops over short writes and EINTR.
[[nodiscard]] Status write_all(int fd, BytesView bytes, std::string_view what);

}  // namespace coffer
