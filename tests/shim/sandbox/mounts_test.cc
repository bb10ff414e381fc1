#include "shim/sandbox/mounts.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

TEST(Mounts, ReadsFstabOptions) {
  const std::vector<std::string> options = {"ro", "nosuid", "lowerdir=/a:/b", "rw", "rslave", "x"};
  const ParsedOptions parsed = parse_mount_options(options);
  EXPECT_EQ(parsed.set, static_cast<unsigned long>(MS_NOSUID));
  EXPECT_EQ(parsed.propagation, static_cast<unsigned long>(MS_SLAVE | MS_REC));
  EXPECT_EQ(parsed.data, "lowerdir=/a:/b,x");
}

// What mounts needs root, and must not touch the machine's own table.
class MountsAsRoot : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    static const bool entered = enter_private_mount_namespace().has_value();
    if (!entered) GTEST_SKIP() << "needs a mount namespace of its own";
    fs::create_directories(dir_.path() / "source");
    fs::create_directories(dir_.path() / "target");
    ASSERT_TRUE(write_file(dir_.path() / "source" / "file", "hello"));
  }
  void TearDown() override { EXPECT_TRUE(unmount_tree(dir_.path())); }

  TempDir dir_;
};

TEST_F(MountsAsRoot, BindsFoldersAndFiles) {
  ASSERT_TRUE(bind_mount(dir_.path() / "source", dir_.path() / "made" / "here", false));
  EXPECT_EQ(*read_file(dir_.path() / "made" / "here" / "file"), "hello");
  ASSERT_TRUE(bind_mount(dir_.path() / "source" / "file", dir_.path() / "one", false));
  EXPECT_EQ(*read_file(dir_.path() / "one"), "hello");
}

TEST_F(MountsAsRoot, BindsReadOnly) {
  ASSERT_TRUE(bind_mount(dir_.path() / "source", dir_.path() / "target", true));
  EXPECT_FALSE(write_file(dir_.path() / "target" / "new", "x"));
  EXPECT_TRUE(write_file(dir_.path() / "source" / "new", "x"));
}

TEST_F(MountsAsRoot, NeverRemovesWhatIsMountedBelow) {
  ASSERT_TRUE(bind_mount(dir_.path() / "source", dir_.path() / "share" / "bound", false));
  ASSERT_TRUE(remove_tree(dir_.path() / "share"));
  EXPECT_FALSE(fs::exists(dir_.path() / "share"));
  EXPECT_EQ(*read_file(dir_.path() / "source" / "file"), "hello");
}

TEST_F(MountsAsRoot, MountsAnOverlayOfMoreLayersThanAPageHolds) {
  std::string lower;
  const fs::path layers = dir_.path() / "a-rather-long-name-for-the-folder-of-the-layers";
  for (int i = 0; i < 60; ++i) {
    const fs::path layer = layers / std::to_string(i) / "fs";
    fs::create_directories(layer);
    ASSERT_TRUE(write_file(layer / ("file" + std::to_string(i)), "x"));
    lower += (i == 0 ? "lowerdir=" : ":") + layer.native();
  }
  ASSERT_GT(lower.size(), 4096U);
  const HostMount overlay{.type = "overlay", .source = "overlay", .options = {"ro", lower}};
  const auto mounted = mount_on(overlay, dir_.path() / "target");
  ASSERT_TRUE(mounted) << mounted.error().to_string();
  EXPECT_TRUE(fs::exists(dir_.path() / "target" / "file0"));
  EXPECT_TRUE(fs::exists(dir_.path() / "target" / "file59"));
}

TEST_F(MountsAsRoot, SaysWhatItCouldNotMount) {
  const auto status =
      mount_on({.type = "ext4", .source = "/nonexistent", .options = {}}, dir_.path() / "target");
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().to_string().find("mount ext4 '/nonexistent'"), std::string::npos);
}

}  // namespace
}  // namespace coffer::shim
