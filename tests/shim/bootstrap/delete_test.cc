#include "shim/bootstrap/delete.h"

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "rpc/protos/task.pb.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

using testing::TempDir;
namespace fs = std::filesystem;

class Delete : public ::testing::Test {
 protected:
  Delete() {
    fs::create_directories(bundle());
    options_.id = "box";
    options_.containerd_namespace = "n";
    options_.bundle = bundle().native();
    undo_.disconnect_network = [this](std::string_view record) -> Status {
      network_ = record;
      return {};
    };
    undo_.remove_netns = [](const fs::path&) -> Status { return {}; };
  }

  [[nodiscard]] fs::path bundle() const { return dir_.path() / "bundle"; }
  [[nodiscard]] fs::path root() const { return dir_.path() / "state"; }

  containerd::task::v2::DeleteResponse run() {
    const auto bytes = delete_leftovers(options_, root(), undo_);
    containerd::task::v2::DeleteResponse response;
    EXPECT_TRUE(bytes && response.ParseFromString(*bytes));
    return response;
  }

  static pid_t spawn_sleeper() {
    std::string name = "sleep";
    std::string time = "1000";
    std::array<char*, 3> argv = {name.data(), time.data(), nullptr};
    pid_t pid = -1;
    EXPECT_EQ(::posix_spawnp(&pid, "sleep", nullptr, nullptr, argv.data(), environ), 0);
    return pid;
  }

  TempDir dir_;
  ShimOptions options_;
  Undo undo_;
  std::string network_;
};

TEST_F(Delete, AnswersKilledWhenThereIsNothing) {
  const auto response = run();
  EXPECT_EQ(response.exit_status(), 137U);
  EXPECT_GT(response.exited_at().seconds(), 0);
}

TEST_F(Delete, UndoesWhatTheRecordNames) {
  const pid_t sleeper = spawn_sleeper();
  const fs::path share = dir_.path() / "share";
  fs::create_directories(share / "mounts");
  SandboxState state;
  state.sandbox_id = "box";
  state.helpers = {*identify(sleeper)};
  state.network = R"({"wires":[]})";
  state.directories = {share.native()};
  ASSERT_TRUE(save_state(root(), state));

  EXPECT_EQ(run().exit_status(), 137U);

  int status = 0;
  EXPECT_EQ(::waitpid(sleeper, &status, 0), sleeper);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(network_, state.network);
  EXPECT_FALSE(fs::exists(share));
  EXPECT_FALSE(fs::exists(state_file(root(), "box").parent_path()));
}

TEST_F(Delete, SparesAProcessThatOnlyHasTheSamePid) {
  const pid_t sleeper = spawn_sleeper();
  SandboxState state;
  state.sandbox_id = "box";
  state.helpers = {ProcessIdentity{.pid = sleeper, .start_time = 1}};
  ASSERT_TRUE(save_state(root(), state));
  run();
  EXPECT_EQ(::kill(sleeper, 0), 0);
  ::kill(sleeper, SIGKILL);
  ::waitpid(sleeper, nullptr, 0);
}

TEST_F(Delete, KeepsTheRecordWhenAStepFails) {
  undo_.disconnect_network = [](std::string_view) -> Status {
    return fail(Code::kUnavailable, "no netlink");
  };
  SandboxState state;
  state.sandbox_id = "box";
  state.network = "{}";
  ASSERT_TRUE(save_state(root(), state));
  EXPECT_EQ(run().exit_status(), 137U);
  EXPECT_TRUE(load_state(root(), "box"));
}

TEST_F(Delete, SurvivesATornRecord) {
  fs::create_directories(root() / "box");
  ASSERT_TRUE(write_file(state_file(root(), "box"), R"({"sandbox_id":)"));
  EXPECT_EQ(run().exit_status(), 137U);
}

}  // namespace
}  // namespace coffer::shim
