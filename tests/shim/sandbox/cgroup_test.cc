#include "shim/sandbox/cgroup.h"

#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

namespace fs = std::filesystem;

TEST(Cgroup, ReadsPathsOfBothForms) {
  EXPECT_EQ(*cgroup_path("/default/box"), "/default/box");
  EXPECT_EQ(*cgroup_path("kubepods-burstable-podx.slice:cri-containerd:abc"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/"
            "cri-containerd-abc.scope");
  EXPECT_EQ(*cgroup_path(":p:n"), "/system.slice/p-n.scope");
}

TEST(Cgroup, RefusesToLeaveTheTree) {
  for (const char* path : {"/a/../../b", "..", "x/y.slice:p:n", "only:one"}) {
    EXPECT_FALSE(cgroup_path(path)) << path;
  }
}

// A folder tree stands for the hierarchies: what is created and written is the same.
TEST(Cgroup, JoinsEveryHierarchyThatTakesIt) {
  const testing::TempDir dir;
  fs::create_directories(dir.path() / "cpu");
  fs::create_directories(dir.path() / "memory" / "pod");
  const auto made = join_cgroup("/pod/box", dir.path());
  ASSERT_TRUE(made) << made.error().to_string();
  const std::vector<std::string> want = {(dir.path() / "cpu/pod/box").native(),
                                         (dir.path() / "cpu/pod").native(),
                                         (dir.path() / "memory/pod/box").native()};
  EXPECT_EQ(*made, want);
  EXPECT_EQ(*read_file(dir.path() / "cpu/pod/box/cgroup.procs"), "0");
}

TEST(Cgroup, SaysWhenNoHierarchyTakesIt) {
  const testing::TempDir dir;
  const auto made = join_cgroup("/pod", dir.path());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kUnavailable);
}

TEST(Cgroup, IsRemovedWithItsChildren) {
  const testing::TempDir dir;
  fs::create_directories(dir.path() / "pod" / "a" / "b");
  EXPECT_TRUE(remove_cgroup(dir.path() / "pod"));
  EXPECT_FALSE(fs::exists(dir.path() / "pod"));
  EXPECT_TRUE(remove_cgroup(dir.path() / "pod"));
}

}  // namespace
}  // namespace coffer::shim
