// Makes the guest image: a kernel and the initramfs beside it, in the layout that Kata's
// configuration files name. The same inputs give the same bytes, wherever and whenever it is built:
// what the hardware measures can be worked out by anybody who repeats the build.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "guest-image/compress.h"
#include "guest-image/programs.h"

namespace coffer::guest_image {

// A file of the building machine and its path in the image.
struct ExtraFile {
  std::filesystem::path source;
  std::string path;         // absolute
  bool is_program = false;  // mode 0755, with its shared libraries
};

struct ImageOptions {
  // Either a Debian kernel package, or a kernel and its folder lib/modules/VERSION.
  std::filesystem::path kernel_package;
  std::filesystem::path kernel, modules;

  std::filesystem::path agent;  // becomes /init
  std::filesystem::path crun = "/usr/bin/crun";
  std::filesystem::path pause;                // the pause program; empty leaves its bundle out
  std::filesystem::path ca_certificates;      // PEM bundle; empty leaves it out
  Libraries libraries;                        // of all programs
  std::vector<std::string> extra_modules;     // beside the standard ones
  std::vector<std::string> modules_at_start;  // loaded whatever devices there are
  std::vector<ExtraFile> extra_files;

  std::filesystem::path output;
  std::string initrd_name = "kata-containers-initrd.img";
  std::string kernel_name = "vmlinuz.container";  // as packaged: for measured boot by firmware
  std::string elf_name = "vmlinux.container";     // unpacked: QEMU boots it by itself, sooner
  std::uint32_t mtime = 0;  // seconds since 1970 that every file in the image carries
  Compression compression = Compression::kZstd;
  int level = 19;  // of zstd
};

struct Artefact {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256, sha384;  // lower-case hex
};

struct ImageReport {
  std::string kernel_version;
  Artefact kernel, elf, initrd;
  std::uint64_t archive_size = 0;  // of the initramfs before compression
  std::size_t files = 0;
  [[nodiscard]] std::string to_json() const;
};

// Called with what is being done: "reading kernel package".
using Progress = std::function<void(std::string_view)>;

// Writes `output`/{kernel_name, elf_name, initrd_name} and a manifest beside the latter
// (INITRD_NAME with ".json" for its extension), each atomically.
[[nodiscard]] Result<ImageReport> build_image(const ImageOptions& options,
                                              const Progress& progress);

}  // namespace coffer::guest_image
