#include "guest-image/image.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/fd.h"
#include "guest-image/bzimage.h"
#include "guest-image/compress.h"
#include "guest-image/cpio.h"
#include "guest-image/kernel_package.h"
#include "guest-image/modules.h"
#include "guest-image/programs.h"

namespace coffer::guest_image {
namespace {

// Mount points and folders that the agent expects to be there.
constexpr auto kFolders = std::to_array<std::string_view>(
    {"dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "var"});

// An OCI bundle, runtime-spec 1.0.2; the agent completes it with the sandbox's own settings.
constexpr std::string_view kPauseConfig = R"({
  "ociVersion": "1.0.2",
  "process": {
    "user": { "uid": 65535, "gid": 65535 },
    "args": [ "/pause" ],
    "env": [ "PATH=/" ],
    "cwd": "/",
    "noNewPrivileges": true
  },
  "root": { "path": "rootfs", "readonly": true }
}
)";

std::string hex_digest(std::string_view bytes, const EVP_MD* algorithm) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const int ok = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, algorithm, nullptr);
  check(ok == 1, "libcrypto refuses a SHA-2 digest");
  return to_hex(BytesView(digest).first(size));
}

Artefact describe(std::string name, std::string_view bytes) {
  return {std::move(name), bytes.size(), hex_digest(bytes, EVP_sha256()),
          hex_digest(bytes, EVP_sha384())};
}

Status add_pause(CpioTree& tree, const std::filesystem::path& pause) {
  if (pause.empty()) return {};
  COFFER_TRY(auto program, read_file(pause));
  COFFER_TRY_VOID(tree.add_file("pause_bundle/config.json", std::string(kPauseConfig), 0644));
  return tree.add_file("pause_bundle/rootfs/pause", std::move(program), 0755);
}

Status add_extra(CpioTree& tree, const ExtraFile& extra, const Libraries& libraries) {
  const std::string path = extra.path.substr(extra.path.find_first_not_of('/'));
  if (extra.is_program) return add_program(tree, extra.source, path, libraries);
  COFFER_TRY(auto content, read_file(extra.source));
  return tree.add_file(path, std::move(content), 0644);
}

Status add_programs(CpioTree& tree, const ImageOptions& options) {
  COFFER_TRY_VOID(add_program(tree, options.agent, "init", options.libraries));
  if (!options.crun.empty()) {
    COFFER_TRY_VOID(add_program(tree, options.crun, "usr/bin/crun", options.libraries));
  }
  COFFER_TRY_VOID(add_pause(tree, options.pause));
  if (!options.ca_certificates.empty()) {
    COFFER_TRY(auto certificates, read_file(options.ca_certificates));
    COFFER_TRY_VOID(
        tree.add_file("etc/ssl/certs/ca-certificates.crt", std::move(certificates), 0644));
  }
  for (const auto& extra : options.extra_files) {
    COFFER_TRY_VOID(add_extra(tree, extra, options.libraries));
  }
  return {};
}

Result<CpioTree> make_tree(const ImageOptions& options, const Kernel& kernel) {
  CpioTree tree;
  for (const auto folder : kFolders) COFFER_TRY_VOID(tree.add_directory(folder));
  COFFER_TRY_VOID(tree.add_directory("tmp", 01777));
  COFFER_TRY_VOID(add_programs(tree, options));
  std::vector<std::string> names = options.extra_modules;
  for (const auto name : default_modules()) names.emplace_back(name);
  for (const auto& name : options.modules_at_start) names.push_back(name);
  COFFER_TRY_VOID(add_modules(tree, kernel, names, options.modules_at_start));
  return tree;
}

Result<Kernel> read_kernel(const ImageOptions& options) {
  if (!options.kernel_package.empty()) return read_kernel_package(options.kernel_package);
  return read_kernel_files(options.kernel, options.modules);
}

nlohmann::json to_object(const Artefact& artefact) {
  return {{"name", artefact.name},
          {"size", artefact.size},
          {"sha256", artefact.sha256},
          {"sha384", artefact.sha384}};
}

struct Output {
  const std::string& kernel;
  const std::string& elf;
  const std::string& initrd;
};

Status write_output(const ImageOptions& options, const Output& output, const ImageReport& report) {
  std::error_code failed;
  std::filesystem::create_directories(options.output, failed);
  if (failed) {
    return fail_errno(failed.value(), fmt::format("create folder '{}'", options.output.string()));
  }
  COFFER_TRY_VOID(write_file_atomic(options.output / options.kernel_name, output.kernel));
  COFFER_TRY_VOID(write_file_atomic(options.output / options.elf_name, output.elf));
  COFFER_TRY_VOID(write_file_atomic(options.output / options.initrd_name, output.initrd));
  auto manifest = options.output / options.initrd_name;
  return write_file_atomic(manifest.replace_extension(".json"), report.to_json());
}

}  // namespace

std::string ImageReport::to_json() const {
  const nlohmann::json object = {{"kernel_version", kernel_version},
                                 {"kernel", to_object(kernel)},
                                 {"kernel_elf", to_object(elf)},
                                 {"initrd", to_object(initrd)},
                                 {"initrd_uncompressed_size", archive_size},
                                 {"files", files}};
  return object.dump(2) + "\n";
}

Result<ImageReport> build_image(const ImageOptions& options, const Progress& progress) {
  progress("reading the kernel and its modules");
  COFFER_TRY(const auto kernel, read_kernel(options));
  COFFER_TRY(const auto elf, extract_kernel(as_bytes(kernel.image)));
  progress(fmt::format("collecting the files for kernel {}", kernel.version));
  COFFER_TRY(const auto tree, make_tree(options, kernel));
  const std::string archive = tree.serialize(options.mtime);
  progress(fmt::format("compressing {} files, {} KiB", tree.size(), archive.size() / 1024));
  COFFER_TRY(const auto initrd, compress(archive, options.compression, options.level));
  ImageReport report{.kernel_version = kernel.version,
                     .kernel = describe(options.kernel_name, kernel.image),
                     .elf = describe(options.elf_name, elf),
                     .initrd = describe(options.initrd_name, initrd),
                     .archive_size = archive.size(),
                     .files = tree.size()};
  COFFER_TRY_VOID(write_output(options, {kernel.image, elf, initrd}, report));
  return report;
}

}  // namespace coffer::guest_image
