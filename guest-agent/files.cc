#include "guest-agent/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "base/bytes.h"
#include "guest-agent/mounts.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {

Result<Fd> open_in_root(int root, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const auto fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how));
  if (fd < 0) return fail_errno(errno, fmt::format("open '{}'", path));
  return Fd(static_cast<int>(fd));
}

namespace {

mode_t kind_of(const grpc::CopyFileRequest& request) { return request.file_mode() & S_IFMT; }

Status own(const grpc::CopyFileRequest& request, int directory, const std::string& name) {
  if (::fchownat(directory, name.c_str(), static_cast<uid_t>(request.uid()),
                 static_cast<gid_t>(request.gid()), AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(errno, fmt::format("set owner of '{}'", request.path()));
  return {};
}

// What stands there, of any kind, without following it.
Status clear(const Fd& directory, const std::string& name) {
  return remove_tree(fmt::format("/proc/self/fd/{}/{}", directory.get(), name));
}

}  // namespace

Result<FileReceiver::Place> FileReceiver::place(const grpc::CopyFileRequest& request) const {
  COFFER_TRY_VOID(check_path(request.path(), "path"));
  const std::string prefix = root_.string() + "/";
  if (!request.path().starts_with(prefix))
    return fail(Code::kInvalidArgument,
                fmt::format("copy to '{}': want a path below '{}'", request.path(), prefix));
  std::error_code error;
  std::filesystem::create_directories(root_, error);
  COFFER_TRY(auto parent, open_file(root_, O_PATH | O_DIRECTORY));
  std::string_view rest = std::string_view(request.path()).substr(prefix.size());
  std::string walked;
  for (;;) {
    const auto slash = rest.find('/');
    const std::string part(rest.substr(0, slash));
    if (slash == std::string_view::npos) {
      if (part.empty() || part == "." || part.size() > NAME_MAX)
        return fail(Code::kInvalidArgument,
                    fmt::format("copy to '{}': it names no file", request.path()));
      return Place{.directory = std::move(parent), .name = part};
    }
    rest.remove_prefix(slash + 1);
    if (part.empty() || part == ".") continue;
    walked += walked.empty() ? part : "/" + part;
    const bool made = ::mkdirat(parent.get(), part.c_str(), request.dir_mode() & 0777U) == 0;
    if (!made && errno != EEXIST)
      return fail_errno(errno, fmt::format("make directory '{}'", walked));
    const bool last = rest.find('/') == std::string_view::npos;
    if (made && last) COFFER_TRY_VOID(own(request, parent.get(), part));
    // Not through a link, not even one that stays inside: the policy has approved this very path.
    Fd next(::openat(parent.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) return fail_errno(errno, fmt::format("open directory '{}'", walked));
    parent = std::move(next);
  }
}

Status FileReceiver::make_directory(const grpc::CopyFileRequest& request) const {
  COFFER_TRY(const auto here, place(request));
  const auto mode = request.file_mode() & 07777U;
  if (::mkdirat(here.directory.get(), here.name.c_str(), 0700) != 0) {
    if (errno != EEXIST) return fail_errno(errno, fmt::format("make '{}'", request.path()));
    struct stat info{};
    ::fstatat(here.directory.get(), here.name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
    if (!S_ISDIR(info.st_mode)) {
      COFFER_TRY_VOID(clear(here.directory, here.name));
      if (::mkdirat(here.directory.get(), here.name.c_str(), 0700) != 0)
        return fail_errno(errno, fmt::format("make '{}'", request.path()));
    }
  }
  const Fd made(::openat(here.directory.get(), here.name.c_str(),
                         O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made.valid() ||
      ::fchown(made.get(), static_cast<uid_t>(request.uid()), static_cast<gid_t>(request.gid())) !=
          0 ||
      ::fchmod(made.get(), mode) != 0)
    return fail_errno(errno, fmt::format("set owner and mode of '{}'", request.path()));
  return {};
}

Status FileReceiver::make_link(const grpc::CopyFileRequest& request) const {
  const auto& target = request.data();
  if (target.empty() || target.size() >= PATH_MAX || target.find('\0') != std::string::npos)
    return fail(Code::kInvalidArgument,
                fmt::format("link '{}': its target is no path", request.path()));
  if (request.offset() != 0)
    return fail(Code::kInvalidArgument,
                fmt::format("link '{}': got offset {}, want 0", request.path(), request.offset()));
  COFFER_TRY(const auto here, place(request));
  COFFER_TRY_VOID(clear(here.directory, here.name));
  if (::symlinkat(target.c_str(), here.directory.get(), here.name.c_str()) != 0)
    return fail_errno(errno, fmt::format("link '{}'", request.path()));
  return own(request, here.directory.get(), here.name);
}

void FileReceiver::drop(const std::string& path) {
  const auto found = uploads_.find(path);
  if (found == uploads_.end()) return;
  ::unlinkat(found->second.directory.get(), found->second.temp_name.c_str(), 0);
  uploads_.erase(found);
}

Status FileReceiver::start(const grpc::CopyFileRequest& request) {
  drop(request.path());
  if (uploads_.size() >= kMaxUnfinished)
    return fail(Code::kResourceExhausted,
                fmt::format("copy to '{}': {} files are unfinished, at most {}", request.path(),
                            uploads_.size(), kMaxUnfinished));
  COFFER_TRY(auto here, place(request));
  Upload upload;
  upload.temp_name = fmt::format(".coffer-{}.tmp", next_temp_++);
  upload.size = request.file_size();
  upload.file.reset(::openat(here.directory.get(), upload.temp_name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!upload.file.valid())
    return fail_errno(errno, fmt::format("create a file for '{}'", request.path()));
  upload.directory = std::move(here.directory);
  uploads_.emplace(request.path(), std::move(upload));
  return {};
}

Status FileReceiver::append(const grpc::CopyFileRequest& request) {
  const auto found = uploads_.find(request.path());
  if (found == uploads_.end() || found->second.received != request.offset())
    return fail(
        Code::kInvalidArgument,
        fmt::format("copy to '{}': got offset {}, want {}", request.path(), request.offset(),
                    found == uploads_.end() ? 0 : found->second.received));
  auto& upload = found->second;
  const auto bytes = static_cast<std::int64_t>(request.data().size());
  if (upload.size != request.file_size() || bytes > upload.size - upload.received)
    return fail(Code::kInvalidArgument,
                fmt::format("copy to '{}': {} bytes at {} do not fit a size of {}", request.path(),
                            bytes, upload.received, upload.size));
  COFFER_TRY_VOID(write_all(upload.file.get(), as_bytes(request.data()), request.path()));
  upload.received += bytes;
  if (upload.received < upload.size) return {};
  const auto name = std::filesystem::path(request.path()).filename().string();
  auto status = finish(request, upload, name);
  if (status)
    uploads_.erase(found);
  else
    drop(request.path());
  return status;
}

Status FileReceiver::finish(const grpc::CopyFileRequest& request, const Upload& upload,
                            const std::string& name) {
  // Owner first: a chown clears the setuid bits that the mode may carry.
  if (::fchown(upload.file.get(), static_cast<uid_t>(request.uid()),
               static_cast<gid_t>(request.gid())) != 0 ||
      ::fchmod(upload.file.get(), request.file_mode() & 07777U) != 0)
    return fail_errno(errno, fmt::format("set owner and mode of '{}'", request.path()));
  const int dir = upload.directory.get();
  if (::renameat(dir, upload.temp_name.c_str(), dir, name.c_str()) == 0) return {};
  if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
    return fail_errno(errno, fmt::format("rename to '{}'", request.path()));
  COFFER_TRY_VOID(clear(upload.directory, name));
  if (::renameat(dir, upload.temp_name.c_str(), dir, name.c_str()) != 0)
    return fail_errno(errno, fmt::format("rename to '{}'", request.path()));
  return {};
}

Status FileReceiver::receive(const grpc::CopyFileRequest& request) {
  switch (kind_of(request)) {
    case S_IFDIR:
      return make_directory(request);
    case S_IFLNK:
      return make_link(request);
    case S_IFREG:
    case 0:
      break;
    default:
      return fail(Code::kInvalidArgument,
                  fmt::format("copy to '{}': mode {:o}: want a file, directory or link",
                              request.path(), request.file_mode()));
  }
  if (request.file_size() < 0 || request.offset() < 0)
    return fail(Code::kInvalidArgument,
                fmt::format("copy to '{}': size or offset is negative", request.path()));
  if (request.file_size() > kMaxFile)
    return fail(Code::kResourceExhausted,
                fmt::format("copy to '{}': {} bytes, at most {}", request.path(),
                            request.file_size(), kMaxFile));
  if (request.offset() == 0) COFFER_TRY_VOID(start(request));
  return append(request);
}

}  // namespace coffer::agent
