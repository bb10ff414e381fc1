#include "base/subprocess.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/log.h"
#include "tests/base/run_task.h"

namespace coffer {
namespace {

using Executor = asio::any_io_executor;
using std::chrono::milliseconds;

SpawnOptions shell(std::string script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", std::move(script)};
  return options;
}

RunOptions with_input(std::string input) {
  RunOptions options;
  options.input = std::move(input);
  return options;
}

Result<RunResult> run_shell(std::string script, RunOptions run_options = {}) {
  return run_task<Result<RunResult>>([&](Executor) { return run(shell(script), run_options); });
}

TEST(Run, CapturesBothOutputsAndTheStatus) {
  const auto result = run_shell("cat; echo err >&2; exit 3", with_input("in"));
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->out, "in");
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(result->status.code, 3);
  EXPECT_EQ(result->status.as_shell(), 3);
}

TEST(Run, ReportsTheSignal) {
  const auto result = run_shell("kill -9 $$");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status.signal, SIGKILL);
  EXPECT_EQ(result->status.as_shell(), 137);
}

TEST(Run, MovesMoreThanAPipeHolds) {
  const std::string input(300000, 'x');
  const auto result = run_shell("cat", with_input(input));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->out, input);
}

TEST(Run, HoldsItsOutputLimitExactly) {
  RunOptions options;
  options.output_limit = 5;
  EXPECT_EQ(run_shell("printf 12345", options)->out, "12345");
  const auto over = run_shell("printf 123456; exec tail -f /dev/null", options);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code(), Code::kResourceExhausted);
}

TEST(Run, KillsAtTheDeadline) {
  RunOptions options;
  options.deadline = deadline_in(milliseconds(20));
  const auto result = run_shell("exec tail -f /dev/null", options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Code::kDeadlineExceeded);
}

TEST(Run, DoesNotWaitForAGrandchildThatKeepsTheOutput) {
  RunOptions options;
  options.deadline = deadline_in(std::chrono::seconds(60));
  const auto result = run_shell("tail -f /dev/null & echo $!", options);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(::kill(std::stoi(result->out), SIGKILL), 0);
}

TEST(Run, IgnoresAChildThatDoesNotReadItsInput) {
  ignore_sigpipe();
  const auto result = run_shell("exec <&-; echo done", with_input(std::string(300000, 'x')));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->out, "done\n");
}

TEST(Spawn, NamesTheStepThatFailed) {
  SpawnOptions options;
  options.argv = {"/nonexistent/program"};
  EXPECT_EQ(spawn(options).error().message(),
            "spawn '/nonexistent/program': exec: No such file or directory");
  EXPECT_EQ(spawn(options).error().code(), Code::kNotFound);
  options = shell("true");
  options.cwd = "/nonexistent";
  EXPECT_EQ(spawn(options).error().message(),
            "spawn '/bin/sh': change directory: No such file or directory");
  EXPECT_EQ(spawn({}).error().code(), Code::kInvalidArgument);
}

TEST(Spawn, GivesTheChildItsDescriptorsAndNoOthers) {
  const Fd stray(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  auto options = shell("ls /proc/self/fd | tr '\\n' ' ' >&5");
  options.fds = {{5, write_end.get()}};
  auto child = spawn(options);
  ASSERT_TRUE(child) << child.error().to_string();
  write_end.reset();
  const auto text = read_all(read_end.get(), 1000, "pipe");
  // ls itself has its output as 1 and the folder as the first free number.
  EXPECT_EQ(*text, "0 1 2 3 5 ");
}

TEST(Spawn, SwapsDescriptorNumbers) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  auto options = shell("echo one >&1");
  // Our read end's number becomes the child's write end, and the other way round.
  options.fds = {{read_end.get(), write_end.get()}, {1, write_end.get()}};
  auto child = spawn(options);
  ASSERT_TRUE(child);
  write_end.reset();
  EXPECT_EQ(*read_all(read_end.get(), 1000, "pipe"), "one\n");
}

TEST(Spawn, AppliesEnvironmentFolderSessionAndOomScore) {
  RunOptions run_options;
  auto options = shell(
      "echo $NAME; pwd; cat /proc/self/oom_score_adj; ps -o sid= -p $$ | tr -d ' '; "
      "echo $$");
  options.env = {{"NAME=value", "PATH=/usr/bin:/bin"}};
  options.cwd = "/tmp";
  options.new_session = true;
  options.oom_score_adj = 500;
  const auto result =
      run_task<Result<RunResult>>([&](Executor) { return run(options, run_options); });
  ASSERT_TRUE(result) << result.error().to_string();
  const std::string& out = result->out;
  EXPECT_EQ(out.substr(0, 15), "value\n/tmp\n500\n");
  const auto rest = out.substr(15);
  EXPECT_EQ(rest.substr(0, rest.find('\n')), rest.substr(rest.find('\n') + 1, rest.find('\n')));
}

TEST(Child, IsKilledAndReapedWhenDropped) {
  int pid = 0;
  {
    auto child = spawn(shell("exec tail -f /dev/null"));
    ASSERT_TRUE(child);
    pid = child->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
}

TEST(Child, WaitsAnyNumberOfTimesAndHoldsItsDeadline) {
  run_void([](Executor) -> Task<void> {
    auto child = spawn(shell("exec tail -f /dev/null"));
    EXPECT_TRUE(child.has_value());
    auto early = co_await child->wait_until(deadline_in(milliseconds(1)));
    EXPECT_FALSE(early->has_value());
    EXPECT_TRUE(child->kill(SIGTERM).has_value());
    for (int i = 0; i < 2; ++i) {
      auto status = co_await child->wait();
      EXPECT_EQ(status->signal, SIGTERM);
    }
    EXPECT_EQ(child->kill(SIGTERM).error().code(), Code::kNotFound);
  });
}

}  // namespace
}  // namespace coffer
