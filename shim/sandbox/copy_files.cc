#include "shim/sandbox/copy_files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <deque>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "shim/sandbox/guest_spec.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

grpc::CopyFileRequest request_for(const struct stat& info, std::string target) {
  constexpr std::uint32_t kParentMode = S_IFDIR | 0750;
  grpc::CopyFileRequest request;
  request.set_path(std::move(target));
  request.set_file_mode(info.st_mode);
  request.set_dir_mode(kParentMode);
  request.set_uid(static_cast<std::int32_t>(info.st_uid));
  request.set_gid(static_cast<std::int32_t>(info.st_gid));
  return request;
}

Result<std::size_t> read_chunk(const Fd& file, std::string& chunk, const fs::path& source) {
  std::size_t filled = 0;
  while (filled < chunk.size()) {
    const ssize_t count = ::read(file.get(), &chunk[filled], chunk.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("read '{}'", source.native()));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

// Names in a folder, sorted, so that a copy is the same each time.
Result<std::vector<std::string>> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().native());
  }
  if (error) return fail_errno(error.value(), fmt::format("list '{}'", folder.native()));
  std::ranges::sort(names);
  return names;
}

}  // namespace

Task<Status> FileCopier::copy_file(fs::path source, std::string target) {
  COFFER_CO_TRY(const Fd file, open_file(source, O_RDONLY | O_NONBLOCK));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    co_return fail_errno(errno, fmt::format("look at '{}'", source.native()));
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  bytes_ += size;
  if (bytes_ > kMaxBytes) {
    co_return fail(Code::kResourceExhausted,
                   fmt::format("copy '{}' to the guest: more than {} bytes in one mount",
                               source.native(), kMaxBytes));
  }
  std::uint64_t offset = 0;
  do {
    // The size at the start is what the guest waits for: a file that shrinks meanwhile fails, one
    // that grows is cut there.
    std::string chunk(std::min<std::uint64_t>(kChunk, size - offset), '\0');
    COFFER_CO_TRY(const std::size_t filled, read_chunk(file, chunk, source));
    if (filled != chunk.size()) {
      co_return fail(Code::kAborted,
                     fmt::format("copy '{}': it became shorter meanwhile", source.native()));
    }
    grpc::CopyFileRequest request = request_for(info, target);
    request.set_file_size(info.st_size);
    request.set_offset(static_cast<std::int64_t>(offset));
    offset += chunk.size();
    request.set_data(std::move(chunk));
    Status sent = co_await agent_.command("CopyFile", std::move(request));
    if (!sent) co_return sent;
  } while (offset < size);
  co_return Status{};
}

Task<Result<bool>> FileCopier::copy_one(fs::path source, std::string target, bool follow) {
  if (++entries_ > kMaxEntries) {
    co_return fail(Code::kResourceExhausted,
                   fmt::format("copy '{}' to the guest: more than {} files in one mount",
                               source.native(), kMaxEntries));
  }
  struct stat info{};
  if ((follow ? ::stat(source.c_str(), &info) : ::lstat(source.c_str(), &info)) != 0) {
    co_return fail_errno(errno, fmt::format("look at '{}'", source.native()));
  }
  if (S_ISREG(info.st_mode)) {
    Status copied = co_await copy_file(std::move(source), std::move(target));
    if (!copied) co_return std::unexpected(std::move(copied).error());
    co_return true;
  }
  if (!S_ISDIR(info.st_mode) && !S_ISLNK(info.st_mode)) co_return false;
  grpc::CopyFileRequest request = request_for(info, std::move(target));
  if (S_ISLNK(info.st_mode)) {
    std::error_code error;
    const fs::path link = fs::read_symlink(source, error);
    if (error) co_return fail_errno(error.value(), fmt::format("read link '{}'", source.native()));
    request.set_data(link.native());
    request.set_file_size(static_cast<std::int64_t>(link.native().size()));
  }
  Status sent = co_await agent_.command("CopyFile", std::move(request));
  if (!sent) co_return std::unexpected(std::move(sent).error());
  co_return true;
}

Task<Result<bool>> FileCopier::copy(fs::path source, std::string target) {
  struct Folder {
    fs::path source;
    std::string target;
    int depth = 0;
  };
  Result<bool> copied = co_await copy_one(source, target, true);
  if (!copied || !*copied) co_return copied;
  std::deque<Folder> folders;
  std::error_code ignored;
  if (fs::is_directory(source, ignored)) {
    folders.push_back({.source = std::move(source), .target = std::move(target)});
  }
  while (!folders.empty()) {
    const Folder folder = std::move(folders.front());
    folders.pop_front();
    if (folder.depth >= kMaxDepth) {
      co_return fail(Code::kResourceExhausted,
                     fmt::format("copy '{}' to the guest: deeper than {} levels",
                                 folder.source.native(), kMaxDepth));
    }
    COFFER_CO_TRY(const std::vector<std::string> names, names_in(folder.source));
    for (const std::string& name : names) {
      const fs::path inner = folder.source / name;
      const std::string inner_target = folder.target + "/" + name;
      Result<bool> done = co_await copy_one(inner, inner_target, false);
      if (!done) co_return done;
      if (*done && fs::is_directory(fs::symlink_status(inner, ignored))) {
        folders.push_back({.source = inner, .target = inner_target, .depth = folder.depth + 1});
      }
    }
  }
  co_return true;
}

void ephemeral_storage(const std::string& source, bool shared, grpc::Storage& storage) {
  struct statfs info{};
  const bool in_memory = ::statfs(source.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
  if (!in_memory && shared) return;
  const std::string name = fs::path(source).lexically_normal().filename().native();
  struct stat owner{};
  const bool owned = ::stat(source.c_str(), &owner) == 0 && owner.st_gid != 0;
  if (in_memory) {
    storage.set_driver("ephemeral");
    storage.set_source("tmpfs");
    storage.set_fstype("tmpfs");
    storage.set_mount_point(fmt::format("{}/{}", kGuestEphemeralDir, name));
  } else {
    storage.set_driver("local");
    storage.set_source("local");
    storage.set_fstype("local");
    storage.set_mount_point(fmt::format("{}/{}", kGuestLocalDir, name));
    storage.add_options("mode=0777");
  }
  if (owned) storage.add_options(fmt::format("fsgid={}", owner.st_gid));
}

}  // namespace coffer::shim
