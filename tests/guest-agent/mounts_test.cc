#include "guest-agent/mounts.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "base/fd.h"
#include "guest-agent/mount_options.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

TEST(MountOptions, SplitsFlagsPropagationAndData) {
  const std::vector<std::string> options{"ro", "nosuid", "rbind", "rslave", "size=64m", "mode=755"};
  const auto parsed = parse_mount_options(options);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->flags, static_cast<unsigned long>(MS_RDONLY | MS_NOSUID | MS_BIND | MS_REC));
  EXPECT_EQ(parsed->propagation, static_cast<unsigned long>(MS_SLAVE | MS_REC));
  EXPECT_EQ(parsed->data, "size=64m,mode=755");
  EXPECT_TRUE(parsed->is_bind());
}

TEST(MountOptions, LetsTheLastWordWin) {
  const std::vector<std::string> options{"ro", "noexec", "rw", "exec"};
  const auto parsed = parse_mount_options(options);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->flags, 0UL);
}

TEST(MountOptions, RefusesMoreThanAPageAndNulBytes) {
  EXPECT_TRUE(parse_mount_options(std::vector{std::string(4095, 'x')}));
  EXPECT_FALSE(parse_mount_options(std::vector{std::string(4096, 'x')}));
  EXPECT_FALSE(parse_mount_options(std::vector{std::string("a\0b", 3)}));
}

TEST(CheckPath, AcceptsPlainAbsolutePathsOnly) {
  for (const char* good : {"/", "/run", "/run/a..b", "/run/...", "/a/.hidden"})
    EXPECT_TRUE(check_path(good, "path")) << good;
  for (const char* bad : {"", "run", "/..", "/run/..", "/run/../etc", "../x"})
    EXPECT_FALSE(check_path(bad, "path")) << bad;
  EXPECT_FALSE(check_path(std::string_view("/a\0b", 4), "path"));
  EXPECT_FALSE(check_path("/" + std::string(5000, 'x'), "path"));
}

class Tree : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "tree-XXXXXX";
    dir_ = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(dir_); }
  fs::path dir_;
};

TEST_F(Tree, IsRemovedWithoutFollowingLinks) {
  fs::create_directories(dir_ / "outside");
  ASSERT_TRUE(write_file(dir_ / "outside/kept", "x"));
  fs::create_directories(dir_ / "tree/a/b/c");
  ASSERT_TRUE(write_file(dir_ / "tree/a/file", "x"));
  fs::create_directory_symlink(dir_ / "outside", dir_ / "tree/a/link");
  ASSERT_TRUE(remove_tree(dir_ / "tree"));
  EXPECT_FALSE(fs::exists(dir_ / "tree"));
  EXPECT_TRUE(fs::exists(dir_ / "outside/kept"));
  EXPECT_TRUE(remove_tree(dir_ / "tree")) << "what is not there is removed already";
}

TEST_F(Tree, HasNoDirectoryMadeOrMountedThroughALink) {
  fs::create_directories(dir_ / "outside/there");
  fs::create_directories(dir_ / "volume");
  fs::create_directory_symlink(dir_ / "outside", dir_ / "volume/link");
  EXPECT_TRUE(open_directories(dir_ / "volume/a/b"));
  EXPECT_TRUE(open_directories(dir_ / "volume//a/./c/"));
  EXPECT_TRUE(fs::is_directory(dir_ / "volume/a/c"));
  for (const char* bad : {"volume/link", "volume/link/there", "volume/link/new"})
    EXPECT_FALSE(open_directories(dir_ / bad)) << bad;
  EXPECT_FALSE(open_directories(dir_ / "volume/../outside"));
  const std::vector<std::string> options{"bind"};
  for (const char* bad : {"volume/link", "volume/link/there", "volume/link/new"}) {
    const auto status = mount_at({.source = (dir_ / "volume").native(),
                                  .target = (dir_ / bad).native(),
                                  .type = "bind",
                                  .options = options});
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().message().find("mount '"), std::string::npos)
        << "before anything is mounted: " << status.error().to_string();
  }
  EXPECT_FALSE(fs::exists(dir_ / "outside/new"));
}

// The flags and the propagation must reach the mount, not what it covers.
TEST_F(Tree, IsBoundReadOnly) {
  if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  fs::create_directories(dir_ / "from");
  ASSERT_TRUE(write_file(dir_ / "from/file", "x"));
  const std::vector<std::string> options{"rbind", "ro", "rprivate"};
  for (const auto& [source, target] :
       {std::pair{"from", "deep/to"}, std::pair{"from/file", "one"}}) {
    const auto place = (dir_ / target).native();
    const auto status = mount_at(
        {.source = (dir_ / source).native(), .target = place, .type = "bind", .options = options});
    ASSERT_TRUE(status) << status.error().to_string();
    EXPECT_TRUE(is_mount_point(place));
    struct statvfs info{};
    ASSERT_EQ(::statvfs(place.c_str(), &info), 0);
    EXPECT_NE(info.f_flag & ST_RDONLY, 0U);
    EXPECT_TRUE(unmount(place));
  }
}

// The device number is the same on both sides.
TEST_F(Tree, IsNotRemovedThroughAMountOfTheSameFileSystem) {
  if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  fs::create_directories(dir_ / "volume");
  ASSERT_TRUE(write_file(dir_ / "volume/kept", "x"));
  fs::create_directories(dir_ / "tree/place");
  ASSERT_EQ(
      ::mount((dir_ / "volume").c_str(), (dir_ / "tree/place").c_str(), nullptr, MS_BIND, nullptr),
      0);
  const auto status = remove_tree(dir_ / "tree");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(dir_ / "volume/kept"));
  EXPECT_TRUE(unmount(dir_ / "tree/place"));
  EXPECT_TRUE(remove_tree(dir_ / "tree"));
}

TEST_F(Tree, TakesTheGroupAndModeOfAVolume) {
  fs::create_directories(dir_ / "vol/sub");
  ASSERT_TRUE(write_file(dir_ / "vol/sub/file", "x", 0600));
  fs::create_symlink("/etc/passwd", dir_ / "vol/link");
  const auto gid = static_cast<std::uint32_t>(::getegid());
  ASSERT_TRUE(apply_fs_group(dir_ / "vol", gid, false, false));
  struct stat info{};
  ASSERT_EQ(::stat((dir_ / "vol/sub/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660U);
  ASSERT_EQ(::stat((dir_ / "vol/sub").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & (S_ISGID | 0770), static_cast<mode_t>(S_ISGID | 0770));
}

}  // namespace
}  // namespace coffer::agent
