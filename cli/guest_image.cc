#include "cli/guest_image.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <limits>

#include "cli/image_values.h"
#include "guest-image/image.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kHelp =
    "Makes the measured guest: the kernel of a Debian package, and an initramfs that holds the "
    "agent,\ncrun, the kernel modules and libraries needed, and nothing else. Same inputs, same "
    "bytes: file\ntimes are SOURCE_DATE_EPOCH (default 0). What guests that boot it measure "
    "depends on their\nfirmware and command line too: with these, reference values are written "
    "beside "
    "it.\n\nExample:\n  coffer guest-image build "
    "--output /opt/kata/share/kata-containers \\\n      --kernel-package "
    "linux-image-6.12.117+deb12-amd64_6.12.117-1_amd64.deb --agent kata-agent";

struct Flags {
  std::string output = ".", package, kernel, modules, agent, crun = "/usr/bin/crun", pause, ca,
              root = "/", name = "kata-containers-initrd.img", compression = "zstd", level = "19",
              emulator;
  std::vector<std::string> extra_modules, at_start, files, programs, libraries;
  bool json = false;
  ImageMeasure measure;
};

Options declare(Flags& flags) {
  Options options(
      "guest-image build --agent FILE (--kernel-package DEB | --kernel FILE --modules "
      "DIR) [OPTION]...",
      kHelp);
  options.value("--output,-o", &flags.output, "folder to write to (default: here)")
      .value("--kernel-package", &flags.package, "Debian linux-image package (.deb)")
      .value("--kernel", &flags.kernel, "kernel, instead of a package")
      .value("--modules", &flags.modules, "its modules' folder, lib/modules/VERSION")
      .value("--agent", &flags.agent, "the agent, which becomes /init")
      .value("--crun", &flags.crun, "crun program (default: /usr/bin/crun)")
      .value("--pause", &flags.pause, "static program of the pause bundle")
      .value("--ca-certificates", &flags.ca, "PEM bundle for TLS to registries and services")
      .value("--root", &flags.root, "where shared libraries are looked up (default: /)")
      .value("--name", &flags.name, "the initramfs's file name")
      .value("--compression", &flags.compression,
             "zstd, lz4 (larger, and a guest unpacks it in a third of the time) or none")
      .value("--level", &flags.level, "zstd level (default: 19)")
      .values("--module", &flags.extra_modules, "one more kernel module (repeatable)")
      .values("--load-module", &flags.at_start, "a module to load at every start (repeatable)")
      .values("--file", &flags.files, "SOURCE:PATH, one more file (repeatable)")
      .values("--program", &flags.programs, "SOURCE:PATH, with its libraries (repeatable)")
      .values("--library", &flags.libraries,
              "NAME=FILE, in the place of a library that programs need (repeatable)")
      .value("--dev", &flags.emulator,
             "the TEE emulator: makes an image for development, which proves nothing")
      .flag("--json", &flags.json, "print the manifest instead of a table");
  declare_image_measure(options, flags.measure);
  return options;
}

template <typename Int>
Result<Int> number(std::string_view text, std::string_view what, Int low, Int high) {
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return fail(Code::kInvalidArgument,
                fmt::format("{} '{}': not a number from {} to {}", what, text, low, high));
  }
  return value;
}

Status add_extras(const std::vector<std::string>& specs, bool is_program,
                  guest_image::ImageOptions& image) {
  for (const auto& spec : specs) {
    const auto colon = spec.rfind(":/");
    if (colon == std::string::npos || colon == 0) {
      return fail(Code::kInvalidArgument, fmt::format("'{}': want SOURCE:/PATH", spec));
    }
    image.extra_files.push_back({spec.substr(0, colon), spec.substr(colon + 1), is_program});
  }
  return {};
}

// It serves the kernel's own interface to TEEs by FUSE.
void add_emulator(const std::string& emulator, guest_image::ImageOptions& image) {
  image.extra_files.push_back({emulator, "/usr/bin/coffer-tee-emulator", true});
  image.extra_modules.emplace_back("fuse");
  image.modules_at_start.emplace_back("fuse");
  // The guest that it plays comes by fw_cfg, before any device asks for the driver.
  image.modules_at_start.emplace_back("qemu_fw_cfg");
}

Result<guest_image::ImageOptions> to_options(const Flags& flags) {
  COFFER_TRY_VOID(check_image_measure(flags.measure));
  if (flags.agent.empty()) return fail(Code::kInvalidArgument, "option '--agent': needed");
  if (flags.package.empty() == (flags.kernel.empty() || flags.modules.empty())) {
    return fail(Code::kInvalidArgument,
                "the kernel: give either --kernel-package, or --kernel and --modules");
  }
  guest_image::ImageOptions image;
  image.kernel_package = flags.package;
  image.kernel = flags.kernel;
  image.modules = flags.modules;
  image.agent = flags.agent;
  image.crun = flags.crun;
  image.pause = flags.pause;
  image.ca_certificates = flags.ca;
  image.libraries.root = flags.root;
  image.output = flags.output;
  image.initrd_name = flags.name;
  image.extra_modules = flags.extra_modules;
  image.modules_at_start = flags.at_start;
  constexpr int kMaxLevel = 19;
  COFFER_TRY(image.compression, guest_image::parse_compression(flags.compression));
  COFFER_TRY(image.level, number<int>(flags.level, "option '--level'", 1, kMaxLevel));
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {
    COFFER_TRY(image.mtime, number<std::uint32_t>(epoch, "SOURCE_DATE_EPOCH", 0,
                                                  std::numeric_limits<std::uint32_t>::max()));
  }
  for (const auto& library : flags.libraries) {
    const auto equals = library.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail(Code::kInvalidArgument,
                  fmt::format("option '--library': '{}': want NAME=FILE", library));
    }
    image.libraries.replaced[library.substr(0, equals)] = library.substr(equals + 1);
  }
  COFFER_TRY_VOID(add_extras(flags.files, false, image));
  COFFER_TRY_VOID(add_extras(flags.programs, true, image));
  if (!flags.emulator.empty()) add_emulator(flags.emulator, image);
  return image;
}

void print_artefact(std::string_view what, const guest_image::Artefact& artefact) {
  fmt::print("{:<10} {}\n{:<10} {} bytes\n{:<10} {}\n{:<10} {}\n", what, artefact.name, "  size",
             artefact.size, "  sha256", artefact.sha256, "  sha384", artefact.sha384);
}

Result<std::vector<std::filesystem::path>> write_values(const Flags& flags,
                                                        const guest_image::ImageReport& built) {
  const std::filesystem::path folder = flags.output;
  return write_image_values(
      flags.measure,
      {.kernel = folder / built.kernel.name,
       .initrd = folder / built.initrd.name,
       .source = fmt::format("coffer guest-image build {} (kernel sha256:{}, initrd "
                             "sha256:{})",
                             built.initrd.name, built.kernel.sha256, built.initrd.sha256)});
}

int run(Args args) {
  Flags flags;
  Options options = declare(flags);
  if (auto parsed = options.parse(args); !parsed) return report(parsed.error());
  if (options.help_shown()) return kExitOk;
  const auto image = to_options(flags);
  if (!image) return report(image.error());
  const auto built = guest_image::build_image(
      *image, [](std::string_view step) { fmt::print(stderr, "guest-image: {} ...\n", step); });
  if (!built) return report(Error(built.error()).add_context("build the guest image"));
  const auto values = write_values(flags, *built);
  if (!values) return report(Error(values.error()).add_context("measure the guest image"));
  if (flags.json) {
    fmt::print("{}", built->to_json());
    return kExitOk;
  }
  print_artefact("kernel", built->kernel);
  print_artefact("unpacked", built->elf);
  print_artefact("initramfs", built->initrd);
  fmt::print("{:<10} {} bytes uncompressed, {} files\n", "", built->archive_size, built->files);
  for (const auto& file : *values) fmt::print("{:<10} {}\n", "values", file.string());
  return kExitOk;
}

}  // namespace

Command guest_image_build() {
  return {"guest-image build", "build the measured kernel and initramfs", run};
}

}  // namespace coffer::cli
