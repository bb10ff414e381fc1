#include "shim/sandbox/state.h"

#include <gtest/gtest.h>

#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

TEST(State, ReadsBackWhatWasWritten) {
  const testing::TempDir dir;
  SandboxState state;
  state.sandbox_id = "box";
  state.shim = {.pid = 10, .start_time = 100};
  state.helpers = {{.pid = 11, .start_time = 101}, {.pid = 12, .start_time = 102}};
  state.network = R"({"a":1})";
  state.created_netns = "/run/x";
  state.cgroups = {"/sys/fs/cgroup/a/b"};
  state.directories = {"/run/y"};
  state.socket = "/run/s";
  ASSERT_TRUE(save_state(dir.path(), state));
  const auto read = load_state(dir.path(), "box");
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, state);
}

TEST(State, RefusesWhatIsNoRecord) {
  for (const char* text : {"", "[]", "{}", R"({"sandbox_id":1})"}) EXPECT_FALSE(parse_state(text));
}

TEST(State, RefusesTheRecordOfAnother) {
  const testing::TempDir dir;
  SandboxState state;
  state.sandbox_id = "one";
  ASSERT_TRUE(save_state(dir.path(), state));
  std::filesystem::rename(dir.path() / "one", dir.path() / "two");
  const auto read = load_state(dir.path(), "two");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), Code::kDataLoss);
}

TEST(State, IsNotFoundWhenAbsent) {
  const testing::TempDir dir;
  EXPECT_EQ(load_state(dir.path(), "box").error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace coffer::shim
