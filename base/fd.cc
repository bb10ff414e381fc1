#include "base/fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>

namespace coffer {

void Fd::reset(int fd) {
  // EINTR from close(2) on Linux still closes: never retry.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<Fd> open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return fail_errno(errno, fmt::format("open '{}'", path.native()));
  return Fd(fd);
}

Result<std::string> read_all(int fd, std::size_t limit, std::string_view what) {
  std::string content;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("read '{}'", what));
    if (count == 0) return content;
    if (content.size() + static_cast<std::size_t>(count) > limit) {
      return fail(Code::kResourceExhausted,
                  fmt::format("read '{}': larger than {} bytes", what, limit));
    }
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  COFFER_TRY(const Fd fd, open_file(path, O_RDONLY));
  return read_all(fd.get(), limit, path.native());
}

Status write_all(int fd, BytesView bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("write '{}'", what));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status write_file(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  COFFER_TRY(const Fd fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  return write_all(fd.get(), as_bytes(content), path.native());
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view content,
                         unsigned mode) {
  const std::filesystem::path temp = path.native() + fmt::format(".{}.tmp", ::getpid());
  const auto write = [&]() -> Status {
    COFFER_TRY(const Fd fd, open_file(temp, O_WRONLY | O_CREAT | O_TRUNC, mode));
    COFFER_TRY_VOID(write_all(fd.get(), as_bytes(content), temp.native()));
    if (::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("fsync '{}'", temp.native()));
    if (::rename(temp.c_str(), path.c_str()) != 0) {
      return fail_errno(errno, fmt::format("rename '{}' to '{}'", temp.native(), path.native()));
    }
    return {};
  };
  auto status = write();
  if (!status) ::unlink(temp.c_str());
  return status;
}

}  // namespace coffer
