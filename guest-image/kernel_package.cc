#include "guest-image/kernel_package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>

#include "base/fd.h"
#include "guest-image/archive_reader.h"
#include "guest-image/decompress.h"

namespace coffer::guest_image {
namespace {

constexpr std::size_t kMaxFile = std::size_t{64} << 20U;
constexpr std::size_t kBlock = std::size_t{64} * 1024;

// Feeds the data of the outer archive's current member to an inner archive.
struct Member {
  archive* outer;
  std::array<char, kBlock> buffer;
};

la_ssize_t read_member(archive*, void* client, const void** block) {
  auto* member = static_cast<Member*>(client);
  *block = member->buffer.data();
  return archive_read_data(member->outer, member->buffer.data(), member->buffer.size());
}

// Takes what it wants of the files that make up a kernel, by their paths below the package's root.
class Collector {
 public:
  // Tells whether the file at `path` is to be read and given to add().
  [[nodiscard]] static bool wants(const std::string& path) {
    if (path.starts_with("boot/vmlinuz-") || path.ends_with("/modules.builtin")) return true;
    if (is_config(path)) return true;
    return !module_name(path).empty();
  }

  void add(const std::string& path, std::string content) {
    if (path.starts_with("boot/vmlinuz-")) {
      kernel_.image = std::move(content);
    } else if (is_config(path)) {
      kernel_.loads_xz = content.find("\nCONFIG_MODULE_COMPRESS_XZ=y\n") != std::string::npos &&
                         content.find("\nCONFIG_MODULE_DECOMPRESS=y\n") != std::string::npos;
    } else if (path.ends_with("/modules.builtin")) {
      add_builtin(content);
    } else {
      kernel_.modules[module_name(path)] = std::move(content);
    }
  }

  void set_version(std::string version) { kernel_.version = std::move(version); }
  // "lib/modules/VERSION/..." tells the version.
  void note_path(const std::string& path) {
    constexpr std::string_view kModules = "lib/modules/";
    const auto at = path.find(kModules);
    if (at == std::string::npos || !kernel_.version.empty()) return;
    const auto start = at + kModules.size();
    kernel_.version = path.substr(start, path.find('/', start) - start);
  }

  [[nodiscard]] Result<Kernel> finish(const std::string& what) && {
    if (kernel_.image.empty() || kernel_.version.empty()) {
      return fail(Code::kNotFound,
                  fmt::format("{}: it holds no {} (is it a linux-image package?)", what,
                              kernel_.image.empty() ? "boot/vmlinuz-*" : "lib/modules/*"));
    }
    return std::move(kernel_);
  }

 private:
  static bool is_config(std::string_view path) {
    return path.starts_with("boot/config-") || path.ends_with("/config");
  }

  void add_builtin(const std::string& list) {
    std::istringstream lines(list);
    for (std::string line; std::getline(lines, line);) {
      if (auto name = module_name(line); !name.empty()) kernel_.builtin.insert(std::move(name));
    }
  }

  Kernel kernel_;
};

Status read_tree(archive* tree, Collector& collector, const std::string& what) {
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(tree, &entry)) == ARCHIVE_OK) {
    const char* raw = archive_entry_pathname(entry);
    if (raw == nullptr) continue;
    std::string path(raw);
    if (path.starts_with("./")) path.erase(0, 2);
    collector.note_path(path);
    if (archive_entry_filetype(entry) != AE_IFREG || !collector.wants(path)) continue;
    COFFER_TRY(auto content, read_entry(tree, fmt::format("{}: '{}'", what, path), kMaxFile));
    collector.add(path, std::move(content));
  }
  if (status != ARCHIVE_EOF) return fail(archive_error(tree, what));
  return {};
}

// Leaves `deb` at its member data.tar.*.
Status find_data(archive* deb, const std::string& what) {
  archive_entry* entry = nullptr;
  while (archive_read_next_header(deb, &entry) == ARCHIVE_OK) {
    const char* name = archive_entry_pathname(entry);
    if (name != nullptr && std::string_view(name).starts_with("data.tar")) return {};
  }
  return fail(Code::kInvalidArgument, what + ": not a Debian package (no data.tar in it)");
}

}  // namespace

std::string module_name(const std::filesystem::path& file) {
  std::string name = file.filename().string();
  const auto end = name.find(".ko");
  if (end == std::string::npos || end == 0) return {};
  const std::string_view suffix = std::string_view(name).substr(end);
  if (suffix != ".ko" && suffix != ".ko.xz" && suffix != ".ko.zst" && suffix != ".ko.gz") return {};
  name.resize(end);
  std::ranges::replace(name, '-', '_');
  return name;
}

Result<std::string> Kernel::module(const std::string& name) const {
  return decompress(modules.at(name), fmt::format("decompress module '{}'", name), kMaxFile);
}

Result<Kernel> read_kernel_package(const std::filesystem::path& deb) {
  const std::string what = fmt::format("read '{}'", deb.string());
  COFFER_TRY(const Fd file, open_file(deb, O_RDONLY));
  const Archive outer(archive_read_new());
  archive_read_support_format_ar(outer.get());
  if (archive_read_open_fd(outer.get(), file.get(), kBlock) != ARCHIVE_OK) {
    return fail(archive_error(outer.get(), what));
  }
  COFFER_TRY_VOID(find_data(outer.get(), what));
  const auto member = std::make_unique<Member>();
  member->outer = outer.get();
  const Archive tree(archive_read_new());
  archive_read_support_filter_all(tree.get());
  archive_read_support_format_tar(tree.get());
  if (archive_read_open(tree.get(), member.get(), nullptr, read_member, nullptr) != ARCHIVE_OK) {
    return fail(archive_error(tree.get(), what));
  }
  Collector collector;
  COFFER_TRY_VOID(read_tree(tree.get(), collector, what));
  return std::move(collector).finish(what);
}

Result<Kernel> read_kernel_files(const std::filesystem::path& image,
                                 const std::filesystem::path& modules) {
  Collector collector;
  COFFER_TRY(auto kernel, read_file(image, kMaxFile));
  collector.add("boot/vmlinuz-", std::move(kernel));
  collector.set_version(std::filesystem::weakly_canonical(modules).filename().string());
  std::error_code failed;
  std::filesystem::recursive_directory_iterator it(modules, failed);
  for (; !failed && it != std::filesystem::end(it); it.increment(failed)) {
    if (!it->is_regular_file(failed) || !collector.wants(it->path().string())) continue;
    COFFER_TRY(auto content, read_file(it->path(), kMaxFile));
    collector.add(it->path().string(), std::move(content));
  }
  if (failed) {
    return fail_errno(failed.value(), fmt::format("read modules '{}'", modules.string()));
  }
  return std::move(collector).finish(fmt::format("read '{}'", modules.string()));
}

}  // namespace coffer::guest_image
