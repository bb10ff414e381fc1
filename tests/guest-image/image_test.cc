// Builds whole images out of small made-up kernels and modules.
#include "guest-image/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <map>
#include <memory>

#include "base/fd.h"
#include "guest-image/modules.h"
#include "tests/guest-image/bzimage_builder.h"
#include "tests/guest-image/elf_builder.h"

namespace coffer::guest_image {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TempDir {
 public:
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "coffer-image-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string info(const std::string& depends, const std::string& alias = "") {
  std::string text = "depends=" + depends + '\0';
  if (!alias.empty()) text += "alias=" + alias + '\0';
  return make_module(text);
}

// A kernel tree with every standard module, the ones named in `special` as given.
void make_kernel(const fs::path& where, std::map<std::string, std::string> special, bool reverse) {
  for (const auto name : default_modules()) special.try_emplace(std::string(name), info(""));
  fs::create_directories(where / "6.12-test/kernel");
  std::vector<std::pair<std::string, std::string>> files(special.begin(), special.end());
  if (reverse) std::ranges::reverse(files);
  for (const auto& [name, content] : files) {
    ASSERT_TRUE(write_file(where / "6.12-test/kernel" / (name + ".ko"), content));
  }
  ASSERT_TRUE(write_file(where / "6.12-test/modules.builtin", "kernel/fs/fuse/fuse.ko\n"));
  ASSERT_TRUE(write_file(where / "vmlinuz", make_bzimage("\x7f"
                                                         "ELF kernel")));
}

ImageOptions options_for(const fs::path& where) {
  ImageOptions options;
  options.kernel = where / "vmlinuz";
  options.modules = where / "6.12-test";
  options.agent = COFFER_PAUSE;  // any static program
  options.pause = COFFER_PAUSE;
  options.crun.clear();
  options.output = where / "out";
  options.level = 1;
  return options;
}

std::map<std::string, std::string> contents(const fs::path& image) {
  const std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(),
                                                                      archive_read_free);
  archive_read_support_format_cpio(reader.get());
  archive_read_support_filter_zstd(reader.get());
  EXPECT_EQ(archive_read_open_filename(reader.get(), image.c_str(), 4096), ARCHIVE_OK);
  std::map<std::string, std::string> files;
  archive_entry* entry = nullptr;
  while (archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK) {
    std::string content(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
    if (!content.empty()) archive_read_data(reader.get(), content.data(), content.size());
    files[archive_entry_pathname(entry)] = content;
  }
  return files;
}

// What a packed file holds.
std::string read_whole(const std::string& packed) {
  const std::unique_ptr<archive, decltype(&archive_read_free)> reader(archive_read_new(),
                                                                      archive_read_free);
  archive_read_support_format_raw(reader.get());
  archive_read_support_filter_all(reader.get());
  EXPECT_EQ(archive_read_open_memory(reader.get(), packed.data(), packed.size()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  EXPECT_EQ(archive_read_next_header(reader.get(), &entry), ARCHIVE_OK);
  std::string out;
  std::array<char, 65536> buffer{};
  for (la_ssize_t got = 0;
       (got = archive_read_data(reader.get(), buffer.data(), buffer.size())) > 0;) {
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return out;
}

constexpr auto kSilent = [](std::string_view) {};

TEST(Image, SameInputsGiveTheSameBytes) {
  const TempDir one;
  const TempDir two;
  make_kernel(one.path(), {}, false);
  make_kernel(two.path(), {}, true);
  const auto first = build_image(options_for(one.path()), kSilent);
  const auto second = build_image(options_for(two.path()), kSilent);
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(first->to_json(), second->to_json());
  const auto first_bytes = read_file(one.path() / "out/kata-containers-initrd.img");
  const auto second_bytes = read_file(two.path() / "out/kata-containers-initrd.img");
  ASSERT_TRUE(first_bytes && second_bytes);
  EXPECT_TRUE(*first_bytes == *second_bytes);
}

TEST(Image, HoldsTheAgentAsInitAndThePauseBundle) {
  const TempDir dir;
  make_kernel(dir.path(), {}, false);
  ASSERT_TRUE(build_image(options_for(dir.path()), kSilent));
  auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  const auto pause = read_file(COFFER_PAUSE);
  ASSERT_TRUE(pause);
  EXPECT_EQ(files["init"], *pause);
  EXPECT_EQ(files["pause_bundle/rootfs/pause"], *pause);
  EXPECT_THAT(files["pause_bundle/config.json"], HasSubstr("/pause"));
  EXPECT_TRUE(files.contains("proc"));
}

TEST(Image, ListsModulesInTheOrderTheyLoad) {
  const TempDir dir;
  make_kernel(dir.path(),
              {{"9p", info("netfs,9pnet")},
               {"9pnet-virtio", info("9pnet", "virtio:d00000009v*")},
               {"9pnet", info("netfs")},
               {"netfs", info("")}},
              false);
  fs::remove(dir.path() / "6.12-test/kernel/9pnet_virtio.ko");
  auto options = options_for(dir.path());
  options.modules_at_start = {"9p"};
  ASSERT_TRUE(build_image(options, kSilent));
  auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  const std::string folder = "/usr/lib/modules/6.12-test/";
  EXPECT_EQ(files["etc/coffer/modules"],
            folder + "netfs.ko\n" + folder + "9pnet.ko\n" + folder + "9p.ko\n");
  EXPECT_THAT(files["etc/coffer/modules.names"],
              HasSubstr("9pnet_virtio " + folder + "netfs.ko " + folder + "9pnet.ko " + folder +
                        "9pnet_virtio.ko\n"));
  EXPECT_THAT(files["etc/coffer/modules.alias"], HasSubstr("virtio:d00000009v* 9pnet_virtio\n"));
}

std::string xz(const std::string& content) {
  const std::unique_ptr<archive, decltype(&archive_write_free)> writer(archive_write_new(),
                                                                       archive_write_free);
  archive_write_add_filter_xz(writer.get());
  archive_write_set_format_raw(writer.get());
  std::string out(content.size() + 4096, '\0');
  std::size_t used = 0;
  EXPECT_EQ(archive_write_open_memory(writer.get(), out.data(), out.size(), &used), ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(archive_write_header(writer.get(), entry), ARCHIVE_OK);
  archive_entry_free(entry);
  archive_write_data(writer.get(), content.data(), content.size());
  EXPECT_EQ(archive_write_close(writer.get()), ARCHIVE_OK);
  out.resize(used);
  return out;
}

// Every standard module as an xz file, and a kernel that loads those, or not.
void make_xz_kernel(const fs::path& where, const std::string& config) {
  make_kernel(where, {{"9p", info("netfs")}, {"netfs", info("")}}, false);
  std::vector<fs::path> modules;
  for (const auto& file : fs::directory_iterator(where / "6.12-test/kernel"))
    modules.push_back(file.path());
  for (const auto& module : modules) {
    const auto content = read_file(module);
    ASSERT_TRUE(content);
    ASSERT_TRUE(write_file(fs::path(module.native() + ".xz"), xz(*content)));
    fs::remove(module);
  }
  ASSERT_TRUE(write_file(where / "6.12-test/config", config));
}

TEST(Image, LeavesToTheKernelWhatNotEveryPodLoads) {
  const TempDir dir;
  make_xz_kernel(dir.path(), "\nCONFIG_MODULE_COMPRESS_XZ=y\nCONFIG_MODULE_DECOMPRESS=y\n");
  ASSERT_TRUE(build_image(options_for(dir.path()), kSilent));
  auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  const std::string folder = "usr/lib/modules/6.12-test/";
  EXPECT_EQ(files[folder + "9p.ko"], info("netfs"));
  EXPECT_EQ(files[folder + "netfs.ko"], info(""));
  EXPECT_EQ(files[folder + "ext4.ko.xz"], xz(info("")));
  EXPECT_FALSE(files.contains(folder + "ext4.ko"));
  EXPECT_THAT(files["etc/coffer/modules.names"], HasSubstr("ext4 /" + folder + "ext4.ko.xz\n"));
}

TEST(Image, UnpacksModulesForAKernelThatDoesNot) {
  const TempDir dir;
  make_xz_kernel(dir.path(),
                 "\nCONFIG_MODULE_COMPRESS_XZ=y\n# CONFIG_MODULE_DECOMPRESS is not set\n");
  ASSERT_TRUE(build_image(options_for(dir.path()), kSilent));
  auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  EXPECT_EQ(files["usr/lib/modules/6.12-test/ext4.ko"], info(""));
}

TEST(Image, LeavesOutWhatIsBuiltIn) {
  const TempDir dir;
  make_kernel(dir.path(), {{"overlay", info("fuse")}}, false);
  ASSERT_TRUE(build_image(options_for(dir.path()), kSilent));
  auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  EXPECT_THAT(files["etc/coffer/modules.names"],
              HasSubstr("overlay /usr/lib/modules/6.12-test/overlay.ko\n"));
}

TEST(Image, NamesEveryModuleThatTheKernelLacks) {
  const TempDir dir;
  make_kernel(dir.path(), {{"overlay", info("nowhere")}}, false);
  auto options = options_for(dir.path());
  options.extra_modules = {"not_there"};
  const auto built = build_image(options, kSilent);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code(), Code::kNotFound);
  EXPECT_THAT(built.error().to_string(), HasSubstr("6.12-test has no not_there, nowhere"));
}

TEST(Image, RefusesModulesThatDependOnThemselves) {
  const TempDir dir;
  make_kernel(dir.path(), {{"overlay", info("ext4")}, {"ext4", info("overlay")}}, false);
  const auto built = build_image(options_for(dir.path()), kSilent);
  ASSERT_FALSE(built);
  EXPECT_THAT(built.error().to_string(), HasSubstr("depends on itself"));
}

TEST(Image, BringsAProgramsLibraries) {
  const TempDir dir;
  make_kernel(dir.path(), {}, false);
  auto options = options_for(dir.path());
  options.extra_files = {{"/proc/self/exe", "/usr/bin/tool", true}};
  ASSERT_TRUE(build_image(options, kSilent));
  const auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  for (const char* path :
       {"usr/bin/tool", "usr/lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2",
        "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"}) {
    EXPECT_TRUE(files.contains(path)) << path;
  }
}

// A library of another name that has none of libc's symbols: the program could not start.
TEST(Image, RefusesALibraryThatLacksSymbols) {
  const TempDir dir;
  make_kernel(dir.path(), {}, false);
  auto options = options_for(dir.path());
  options.extra_files = {{"/proc/self/exe", "/usr/bin/tool", true}};
  options.libraries.replaced = {{"libc.so.6", COFFER_PAUSE}};
  const auto built = build_image(options, kSilent);
  ASSERT_FALSE(built);
  EXPECT_THAT(built.error().to_string(),
              AllOf(HasSubstr("nothing defines"), HasSubstr("'__errno_location'")));
}

TEST(Image, PutsALibraryInAnothersPlace) {
  const TempDir dir;
  make_kernel(dir.path(), {}, false);
  auto options = options_for(dir.path());
  options.extra_files = {{"/proc/self/exe", "/usr/bin/tool", true}};
  const auto libc = read_file("/usr/lib/x86_64-linux-gnu/libc.so.6");
  ASSERT_TRUE(libc);
  ASSERT_TRUE(write_file(dir.path() / "mine.so", *libc + "mine"));
  options.libraries.replaced = {{"libc.so.6", dir.path() / "mine.so"}};
  const auto built = build_image(options, kSilent);
  ASSERT_TRUE(built) << built.error().to_string();
  const auto files = contents(dir.path() / "out/kata-containers-initrd.img");
  EXPECT_TRUE(files.at("usr/lib/x86_64-linux-gnu/libc.so.6").ends_with("mine"));
}

// libarchive reads LZ4's legacy frames, and `bytes` span more than one of their blocks.
TEST(Image, PacksWithLz4AsTheKernelReadsIt) {
  const TempDir dir;
  std::string bytes;
  for (unsigned i = 0; bytes.size() < (std::size_t{9} << 20U); ++i) bytes += std::to_string(i * i);
  const auto packed = compress(bytes, Compression::kLz4, 0);
  ASSERT_TRUE(packed);
  EXPECT_LT(packed->size(), bytes.size());
  const auto text = read_whole(*packed);
  EXPECT_TRUE(text == bytes);
}

TEST(Image, RefusesACompressionThatItDoesNotKnow) {
  const auto refused = parse_compression("xz");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("'xz': not one of zstd, lz4, none"));
}

TEST(Image, SaysWhichFileIsMissing) {
  const TempDir dir;
  make_kernel(dir.path(), {}, false);
  auto options = options_for(dir.path());
  options.agent = "/nowhere/kata-agent";
  const auto built = build_image(options, kSilent);
  ASSERT_FALSE(built);
  EXPECT_THAT(built.error().to_string(), HasSubstr("/nowhere/kata-agent"));
}

TEST(Image, RefusesWhatIsNoKernelPackage) {
  const TempDir dir;
  ASSERT_TRUE(write_file(dir.path() / "x.deb", "not an archive"));
  auto options = options_for(dir.path());
  options.kernel_package = dir.path() / "x.deb";
  const auto built = build_image(options, kSilent);
  ASSERT_FALSE(built);
  EXPECT_THAT(built.error().to_string(), HasSubstr("x.deb"));
}

}  // namespace
}  // namespace coffer::guest_image
