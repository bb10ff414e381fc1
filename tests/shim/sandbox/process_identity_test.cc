#include "shim/sandbox/process_identity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace coffer::shim {
namespace {

using std::chrono::milliseconds;

pid_t fork_waiter() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  return pid;
}

TEST(ProcessIdentity, TellsAProcessFromAnotherOfItsPid) {
  const auto self = identify(::getpid());
  ASSERT_TRUE(self) << self.error().to_string();
  EXPECT_EQ(self->pid, ::getpid());
  EXPECT_EQ(*self, *identify(::getpid()));
  EXPECT_GT(self->start_time, 0U);
}

TEST(ProcessIdentity, KillsOnce) {
  const pid_t child = fork_waiter();
  const auto identity = identify(child);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(kill_process(*identity, milliseconds(5000)));
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(kill_process(*identity, milliseconds(5000)));
}

TEST(ProcessIdentity, LeavesAStrangerAlone) {
  const pid_t child = fork_waiter();
  EXPECT_TRUE(kill_process({.pid = child, .start_time = 7}, milliseconds(5000)));
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace coffer::shim
