// Reads Debian's linux-image package (deb(5): an ar archive holding data.tar.xz) without unpacking
// it to disk or running anything from it.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "base/error.h"

namespace coffer::guest_image {

// A kernel and its modules, as found in a package or in two paths.
struct Kernel {
  std::string version;  // "6.12.117+deb12-amd64": the name of the folder under lib/modules
  std::string image;    // the bzImage
  // Module name, with '_' for '-', to its file as it was found: mostly compressed. The names of
  // what is built in are in `builtin`.
  std::map<std::string, std::string> modules;
  std::set<std::string> builtin;
  // Its modules are xz files that it loads as they are (CONFIG_MODULE_COMPRESS_XZ with
  // CONFIG_MODULE_DECOMPRESS in boot/config-VERSION or lib/modules/VERSION/config).
  bool loads_xz = false;

  // The module's ELF file, decompressed. `name` must be in `modules`.
  [[nodiscard]] Result<std::string> module(const std::string& name) const;
};

// "virtio-rng.ko.xz" -> "virtio_rng"; empty when it is no module's file name.
[[nodiscard]] std::string module_name(const std::filesystem::path& file);

// kNotFound when the package holds no kernel; kInvalidArgument when it is no package. Reads the
// whole package once (some seconds) and keeps its modules in memory (100 MB).
[[nodiscard]] Result<Kernel> read_kernel_package(const std::filesystem::path& deb);

// The same from a kernel file and a folder of the form lib/modules/VERSION.
[[nodiscard]] Result<Kernel> read_kernel_files(const std::filesystem::path& image,
                                               const std::filesystem::path& modules);

}  // namespace coffer::guest_image
