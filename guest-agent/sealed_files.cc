#include "guest-agent/sealed_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "guest-agent/files.h"
#include "rpc/protos/oci.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "sealed.";
constexpr std::size_t kMaxSealed = std::size_t{1} << 20U;
constexpr int kMaxEntries = 1024;
// kubelet's own, by their names in the container. Whoever has the host's share could write sealed
// texts into them.
constexpr std::array<std::string_view, 5> kNotSecrets{"resolv.conf", "termination-log", "hostname",
                                                      "hosts", "serviceaccount"};

bool brings_secrets(const grpc::Mount& mount, const std::string& below) {
  return mount.source().starts_with(below) &&
         std::ranges::find(kNotSecrets, fs::path(mount.destination()).filename().native()) ==
             kNotSecrets.end();
}

Result<std::string> kernels_name(int fd) {
  std::error_code error;
  const auto name = fs::read_symlink(fmt::format("/proc/self/fd/{}", fd), error);
  if (error) return fail_errno(error.value(), "resolve a file's name");
  return name.native();
}

// The text when it is a sealed one. A file that is none costs the reading of seven bytes.
Result<std::optional<std::string>> sealed_text(int fd) {
  std::string text(kPrefix.size(), '\0');
  const auto count = ::pread(fd, text.data(), text.size(), 0);
  if (count < 0) return fail_errno(errno, "read");
  if (static_cast<std::size_t>(count) != text.size() || text != kPrefix) return std::nullopt;
  COFFER_TRY(text, read_all(fd, kMaxSealed, "sealed secret"));
  if (!looks_sealed(text))  // it has changed meanwhile
    return fail(Code::kAborted, "read: it changes while it is read");
  return text;
}

// Nothing when it is no sealed file. `at` is a volume's descriptor, or the share's.
Result<std::optional<SealedFile>> look_at(int at, const std::string& name) {
  auto opened = open_in_root(at, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  // A dangling link, a socket: nothing that could be sealed.
  if (!opened) return std::nullopt;
  struct stat info{};
  if (::fstat(opened->get(), &info) != 0) return fail_errno(errno, "stat");
  if (!S_ISREG(info.st_mode)) return std::nullopt;
  COFFER_TRY(auto text, sealed_text(opened->get()));
  if (!text) return std::nullopt;
  SealedFile file;
  file.name = name;
  file.text = *std::move(text);
  file.mode = info.st_mode & 0777U;
  file.uid = info.st_uid;
  file.gid = info.st_gid;
  COFFER_TRY(file.path, kernels_name(opened->get()));
  return file;
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Result<std::vector<std::string>> entries_of(int volume) {
  Fd again(::openat(volume, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, CloseDir> dir(again.valid() ? ::fdopendir(again.get()) : nullptr);
  if (!dir) return fail_errno(errno, "list");
  std::ignore = again.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    // "..data" and the folders behind it, "." and "..": none is a secret's name.
    const std::string_view name(entry->d_name);
    if (name.starts_with("..") || name == ".") continue;
    if (names.size() == kMaxEntries)
      return fail(Code::kResourceExhausted,
                  fmt::format("look for sealed secrets: more than {} entries", kMaxEntries));
    names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

bool is_volume(int directory) {
  struct stat info{};
  return ::fstatat(directory, "..data", &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
}

Result<std::vector<SealedFile>> look_into(int volume) {
  std::vector<SealedFile> files;
  COFFER_TRY(const auto names, entries_of(volume));
  COFFER_TRY(const auto root, kernels_name(volume));
  for (const auto& name : names) {
    auto file = look_at(volume, name);
    if (!file) return fail(std::move(file).error().with_context(fmt::format("file '{}'", name)));
    if (!*file) continue;
    if (!(*file)->path.starts_with(root + "/"))
      return fail(Code::kAborted, fmt::format("file '{}': it moves while it is read", name));
    (*file)->path.erase(0, root.size() + 1);
    files.push_back(**std::move(file));
  }
  return files;
}

Result<fs::path> write_plain(const fs::path& folder, std::size_t number, const SealedFile& file,
                             BytesView plain) {
  auto path = folder / std::to_string(number);
  COFFER_TRY(const Fd out, open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  COFFER_TRY_VOID(write_all(out.get(), plain, "write the plaintext"));
  // Owner first: a chown clears bits of the mode.
  if (::fchown(out.get(), file.uid, file.gid) != 0 || ::fchmod(out.get(), file.mode) != 0)
    return fail_errno(errno, "set owner and mode of the plaintext");
  return path;
}

grpc::Mount mount_over(const grpc::Mount& below, const SealedFile& file, const fs::path& plain) {
  grpc::Mount mount;
  mount.set_destination((fs::path(below.destination()) / file.path).native());
  mount.set_source(plain.native());
  mount.set_type("bind");
  for (const char* option : {"bind", "ro", "nosuid", "nodev", "noexec", "rprivate"})
    mount.add_options(option);
  return mount;
}

// Opens secrets into numbered files.
class Opener {
 public:
  Opener(fs::path folder, const Unseal& unseal) : folder_(std::move(folder)), unseal_(unseal) {}

  Task<Result<fs::path>> open(const SealedFile& file) {
    auto plain = co_await unseal_(file.text);
    if (!plain) co_return fail(std::move(plain).error());
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) co_return fail_errno(error.value(), fmt::format("make '{}'", folder_.string()));
    co_return write_plain(folder_, count_++, file, plain->view());
  }

 private:
  fs::path folder_;
  const Unseal& unseal_;
  std::size_t count_ = 0;
};

Status fill_with_zeros(const Fd& file) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail_errno(errno, "wipe");
  if (!S_ISREG(info.st_mode)) return fail(Code::kInvalidArgument, "wipe: it is no file");
  const Bytes zeros(static_cast<std::size_t>(info.st_size));
  return write_all(file.get(), zeros, "wipe");
}

std::string message(const grpc::Mount& mount, const SealedFile& file) {
  const auto shown = fs::path(mount.destination()) / (file.path.empty() ? "" : file.name);
  return fmt::format("unseal file '{}'", file.path.empty() ? mount.destination() : shown.string());
}

}  // namespace

bool looks_sealed(std::string_view text) { return text.starts_with(kPrefix); }

Result<std::vector<SealedFile>> find_sealed_files(const fs::path& shared, const fs::path& source) {
  const auto what = [&](Error error) {
    return fail(std::move(error).with_context(fmt::format("mount '{}'", source.string())));
  };
  COFFER_TRY(const Fd root, open_file(shared, O_PATH | O_DIRECTORY));
  const auto relative = source.lexically_relative(shared).native();
  const auto volume = open_in_root(root.get(), relative, O_RDONLY | O_DIRECTORY);
  if (volume) {
    if (!is_volume(volume->get())) return std::vector<SealedFile>();
    auto files = look_into(volume->get());
    if (!files) return what(std::move(files).error());
    return files;
  }
  std::vector<SealedFile> files;
  auto file = look_at(root.get(), relative);
  if (!file) return what(std::move(file).error());
  if (*file) {
    (*file)->path.clear();
    files.push_back(**std::move(file));
  }
  return files;
}

Task<Status> open_sealed_files(grpc::Spec& spec, fs::path shared, fs::path folder,
                               const Unseal& unseal) {
  Opener opener(std::move(folder), unseal);
  const std::string below = shared.native() + "/";
  std::vector<grpc::Mount> mounts;
  bool changed = false;
  for (const grpc::Mount& wire : spec.mounts()) {
    grpc::Mount mount = wire;
    std::vector<grpc::Mount> over;
    if (brings_secrets(mount, below)) {
      COFFER_CO_TRY(const auto files, find_sealed_files(shared, mount.source()));
      for (const auto& file : files) {
        auto plain = co_await opener.open(file);
        if (!plain) co_return fail(std::move(plain).error().with_context(message(mount, file)));
        changed = true;
        if (file.path.empty())
          mount.set_source(plain->native());
        else
          over.push_back(mount_over(mount, file, *plain));
      }
    }
    mounts.push_back(std::move(mount));
    // Right above the mount they belong to: a later one may cover both.
    for (auto& one : over) mounts.push_back(std::move(one));
  }
  if (!changed) co_return Status{};
  spec.clear_mounts();
  for (auto& mount : mounts) *spec.add_mounts() = std::move(mount);
  co_return Status{};
}

Status overwrite_file(const fs::path& path, std::string_view text) {
  COFFER_TRY(const Fd file, open_file(path, O_WRONLY | O_NOFOLLOW));
  COFFER_TRY_VOID(fill_with_zeros(file));
  if (::ftruncate(file.get(), 0) != 0 || ::lseek(file.get(), 0, SEEK_SET) != 0)
    return fail_errno(errno, fmt::format("wipe '{}'", path.string()));
  return write_all(file.get(), as_bytes(text), "write what is no secret");
}

void wipe_file(const fs::path& path) {
  if (const auto file = open_file(path, O_WRONLY | O_NOFOLLOW))
    std::ignore = fill_with_zeros(*file);
  std::error_code gone;
  fs::remove(path, gone);
}

void wipe_files(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    struct stat info{};
    if (::lstat(it->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) wipe_file(it->path());
  }
}

}  // namespace coffer::agent
