// libfuse 3, high-level interface: its callbacks come one at a time, from fuse_loop.
#include "tee/emulator/kernel_tree_fuse.h"

#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fmt/format.h>
#include <fuse3/fuse.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

namespace coffer::emulator {
namespace {

KernelTree& tree() { return *static_cast<KernelTree*>(fuse_get_context()->private_data); }

template <typename T>
int status(const OrErrno<T>& result) {
  return result ? 0 : -result.error();
}

int get_attributes(const char* path, struct stat* out, fuse_file_info* /*file*/) {
  const auto info = tree().info(path);
  if (!info) return -info.error();
  *out = {};
  out->st_mode = (info->directory ? S_IFDIR : S_IFREG) | info->mode;
  out->st_nlink = 1;
  return 0;
}

int read_directory(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
                   fuse_file_info* /*file*/, fuse_readdir_flags /*flags*/) {
  const auto names = tree().list(path);
  if (!names) return -names.error();
  for (const auto* dots : {".", ".."}) fill(buffer, dots, nullptr, 0, fuse_fill_dir_flags{});
  for (const auto& name : *names) {
    fill(buffer, name.c_str(), nullptr, 0, fuse_fill_dir_flags{});
  }
  return 0;
}

int make_directory(const char* path, mode_t /*mode*/) {
  return status(tree().make_directory(path));
}

int remove_directory(const char* path) { return status(tree().remove_directory(path)); }

int open_file_at(const char* path, fuse_file_info* file) {
  const int mode = file->flags & O_ACCMODE;
  if (mode == O_RDWR) return -EACCES;
  const auto handle = tree().open(path, mode == O_WRONLY ? Access::kWrite : Access::kRead);
  if (!handle) return -handle.error();
  file->fh = *handle;
  // Sizes are not known before a report is made.
  file->direct_io = 1;
  return 0;
}

int read_file_at(const char* /*path*/, char* buffer, std::size_t size, off_t offset,
                 fuse_file_info* file) {
  const auto bytes = tree().read(file->fh, static_cast<std::uint64_t>(offset), size);
  if (!bytes) return -bytes.error();
  std::ranges::copy(as_text(*bytes), buffer);
  return static_cast<int>(bytes->size());
}

int write_file_at(const char* /*path*/, const char* buffer, std::size_t size, off_t offset,
                  fuse_file_info* file) {
  const auto written = tree().write(file->fh, static_cast<std::uint64_t>(offset),
                                    as_bytes(std::string_view(buffer, size)));
  return written ? static_cast<int>(*written) : -written.error();
}

// A shell's ">" truncates first: configfs lets it.
int truncate_file(const char* path, off_t /*size*/, fuse_file_info* /*file*/) {
  return status(tree().info(path));
}

int flush_file(const char* /*path*/, fuse_file_info* file) {
  tree().flush(file->fh);
  return 0;
}

int release_file(const char* /*path*/, fuse_file_info* file) {
  tree().release(file->fh);
  return 0;
}

void* start(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->kernel_cache = 0;
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  return fuse_get_context()->private_data;
}

fuse_operations operations() {
  fuse_operations out{};
  out.init = start;
  out.getattr = get_attributes;
  out.readdir = read_directory;
  out.mkdir = make_directory;
  out.rmdir = remove_directory;
  out.open = open_file_at;
  out.read = read_file_at;
  out.write = write_file_at;
  out.truncate = truncate_file;
  out.flush = flush_file;
  out.release = release_file;
  return out;
}

}  // namespace

Status serve_kernel_tree(KernelTree& kernel_tree, const std::filesystem::path& mount_point,
                         const std::function<void()>& mounted) {
  // fuse_args takes char*, and does not write through it before it has copied.
  std::string name = "coffer-tee-emulator", option = "-o", value = "fsname=coffer-tee-emulator";
  std::array<char*, 3> words{name.data(), option.data(), value.data()};
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(words.size()), words.data());
  const fuse_operations ops = operations();
  const std::unique_ptr<fuse, decltype(&fuse_destroy)> session(
      fuse_new(&args, &ops, sizeof ops, &kernel_tree), fuse_destroy);
  fuse_opt_free_args(&args);
  if (!session) return fail(Code::kInternal, "make a FUSE session: libfuse refused its options");
  if (fuse_mount(session.get(), mount_point.c_str()) != 0) {
    return fail(Code::kFailedPrecondition,
                fmt::format("mount FUSE at '{}': refused (it needs root and /dev/fuse)",
                            mount_point.string()));
  }
  const std::unique_ptr<fuse, decltype(&fuse_unmount)> mount(session.get(), fuse_unmount);
  if (fuse_set_signal_handlers(fuse_get_session(session.get())) != 0) {
    return fail(Code::kInternal, "serve FUSE: cannot set signal handlers");
  }
  mounted();
  const int result = fuse_loop(session.get());
  fuse_remove_signal_handlers(fuse_get_session(session.get()));
  if (result < 0) return fail_errno(-result, "serve FUSE");
  return {};
}

}  // namespace coffer::emulator
