#include "shim/sandbox/role.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/fd.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

TEST(Role, IsToldByEachEnginesAnnotations) {
  struct Case {
    Annotations annotations;
    Role role;
    std::string_view sandbox;
  };
  const std::vector<Case> cases = {
      {{}, Role::kSingle, "me"},
      {{{"io.kubernetes.cri.container-type", "sandbox"}}, Role::kSandbox, "me"},
      {{{"io.kubernetes.cri.container-type", "container"}, {"io.kubernetes.cri.sandbox-id", "pod"}},
       Role::kContainer,
       "pod"},
      {{{"io.kubernetes.cri-o.ContainerType", "container"},
        {"io.kubernetes.cri-o.SandboxID", "pod"}},
       Role::kContainer,
       "pod"},
      {{{"io.kubernetes.docker.type", "podsandbox"}}, Role::kSandbox, "me"},
  };
  for (const Case& each : cases) {
    const auto placement = place(each.annotations, "me");
    ASSERT_TRUE(placement) << placement.error().to_string();
    EXPECT_EQ(placement->role, each.role);
    EXPECT_EQ(placement->sandbox_id, each.sandbox);
  }
}

TEST(Role, RefusesHalfAPlacement) {
  const std::vector<std::pair<Annotations, std::string_view>> cases = {
      {{{"io.kubernetes.cri.container-type", "container"}}, "is missing"},
      {{{"io.kubernetes.cri.container-type", "podsandbox"}}, "want 'sandbox' or 'container'"},
      {{{"io.kubernetes.cri.container-type", "container"},
        {"io.kubernetes.cri.sandbox-id", "../../etc"}},
       "letters, digits"},
  };
  for (const auto& [annotations, want] : cases) {
    const auto placement = place(annotations, "me");
    ASSERT_FALSE(placement);
    EXPECT_NE(placement.error().to_string().find(want), std::string::npos);
  }
}

TEST(Role, ReadsAnnotationsOfABundle) {
  const testing::TempDir dir;
  ASSERT_TRUE(write_file(dir.path() / "config.json", R"({"annotations":{"a":"b"}})"));
  EXPECT_EQ(read_annotations(dir.path())->at("a"), "b");
  ASSERT_TRUE(write_file(dir.path() / "config.json", R"({})"));
  EXPECT_TRUE(read_annotations(dir.path())->empty());
  ASSERT_TRUE(write_file(dir.path() / "config.json", R"({"annotations":{"a":1}})"));
  EXPECT_FALSE(read_annotations(dir.path()));
  ASSERT_TRUE(write_file(dir.path() / "config.json", R"([])"));
  EXPECT_TRUE(read_annotations(dir.path())->empty());
}

}  // namespace
}  // namespace coffer::shim
