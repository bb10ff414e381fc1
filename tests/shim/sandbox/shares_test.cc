#include "shim/sandbox/shares.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

TEST(Shares, NamesVolumesAsKataDoes) {
  EXPECT_EQ(share_name("c1", 255, "/etc/hosts"), "c1-00000000000000ff-hosts");
  EXPECT_EQ(share_name("c1", 1, "/"), "c1-0000000000000001-root");
  EXPECT_EQ(share_name("c1", 1, "/data/"), "c1-0000000000000001-root");
}

class SharesAsRoot : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    static const bool entered = enter_private_mount_namespace().has_value();
    if (!entered) GTEST_SKIP() << "needs a mount namespace of its own";
    fs::create_directories(dir_.path() / "data");
    ASSERT_TRUE(write_file(dir_.path() / "data" / "file", "hello"));
  }
  void TearDown() override { EXPECT_TRUE(unmount_tree(dir_.path())); }

  // Where the guest's path lies in what is exported.
  static fs::path seen(const Shares& shares, const std::string& guest_path) {
    return shares.exported() /
           fs::path(guest_path).lexically_relative("/run/kata-containers/shared/containers");
  }

  testing::TempDir dir_;
};

TEST_F(SharesAsRoot, ExportsWhatIsSharedLater) {
  auto shares = Shares::create(dir_.path() / "root", "box");
  ASSERT_TRUE(shares) << shares.error().to_string();
  const auto path = shares->share("c1", dir_.path() / "data", "/mnt/data", false);
  ASSERT_TRUE(path) << path.error().to_string();
  EXPECT_EQ(*read_file(seen(*shares, *path) / "file"), "hello");
  // Into the mount the guest may write; beside it, it may not.
  EXPECT_TRUE(write_file(seen(*shares, *path) / "new", "x"));
  EXPECT_FALSE(write_file(shares->exported() / "new", "x"));
}

TEST_F(SharesAsRoot, MountsARootFileSystem) {
  fs::create_directories(dir_.path() / "bundle" / "rootfs" / "bin");
  auto shares = Shares::create(dir_.path() / "root", "box");
  ASSERT_TRUE(shares);
  const std::vector<HostMount> mounts = {
      {.type = "bind", .source = (dir_.path() / "data").native(), .options = {"rbind", "ro"}}};
  const auto path = shares->mount_rootfs("c1", mounts, dir_.path() / "bundle" / "rootfs");
  ASSERT_TRUE(path) << path.error().to_string();
  EXPECT_EQ(*path, "/run/kata-containers/shared/containers/c1/rootfs");
  EXPECT_EQ(*read_file(seen(*shares, *path) / "file"), "hello");
  EXPECT_FALSE(write_file(seen(*shares, *path) / "new", "x"));
  const auto plain = shares->mount_rootfs("c2", {}, dir_.path() / "bundle" / "rootfs");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(fs::exists(seen(*shares, *plain) / "bin"));
}

TEST_F(SharesAsRoot, TakesBackOnlyWhatAContainerHad) {
  auto shares = Shares::create(dir_.path() / "root", "box");
  ASSERT_TRUE(shares);
  const auto one = shares->share("c", dir_.path() / "data", "/x", false);
  const auto other = shares->share("c-1", dir_.path() / "data", "/x", false);
  ASSERT_TRUE(one && other);
  ASSERT_TRUE(shares->unshare("c"));
  EXPECT_FALSE(fs::exists(seen(*shares, *one)));
  EXPECT_TRUE(fs::exists(seen(*shares, *other) / "file"));
  EXPECT_TRUE(fs::exists(dir_.path() / "data" / "file"));
}

TEST_F(SharesAsRoot, LeavesNothing) {
  auto shares = Shares::create(dir_.path() / "root", "box");
  ASSERT_TRUE(shares);
  ASSERT_TRUE(shares->share("c", dir_.path() / "data", "/x", false));
  ASSERT_TRUE(shares->remove());
  EXPECT_FALSE(fs::exists(shares->folder()));
  EXPECT_TRUE(mounts_below(shares->folder())->empty());
  EXPECT_TRUE(fs::exists(dir_.path() / "data" / "file"));
}

}  // namespace
}  // namespace coffer::shim
