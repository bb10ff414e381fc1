#include "guest-agent/mounts.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
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
