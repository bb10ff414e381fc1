#include "shim/task/events.h"

#include <gtest/gtest.h>

#include "tests/base/run_task.h"
#include "tests/shim/task/fake_containerd.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

using std::chrono::seconds;
using testing::FakeContainerd;

class Events : public ::testing::Test {
 protected:
  EventPublisher::Options options(std::size_t capacity = 2048) const {
    EventPublisher::Options made;
    made.ttrpc_address = socket();
    made.containerd_namespace = "k8s.io";
    made.capacity = capacity;
    return made;
  }
  [[nodiscard]] std::string socket() const { return (dir_.path() / "containerd.ttrpc").native(); }

  static void publish_oom(EventPublisher& events, const std::string& id) {
    containerd::events::TaskOOM event;
    event.set_container_id(id);
    events.publish("/tasks/oom", event);
  }

  coffer::testing::TempDir dir_;
};

TEST_F(Events, ArriveInOrderWithContainerdsNames) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeContainerd containerd(executor, socket());
    containerd.up();
    EventPublisher events(executor, options());
    for (const char* id : {"a", "b", "c"}) publish_oom(events, id);
    const bool flushed = co_await events.flush(deadline_in(seconds(30)));
    EXPECT_TRUE(flushed);
    const std::vector<std::string> want = {"/tasks/oom a", "/tasks/oom b", "/tasks/oom c"};
    EXPECT_EQ(containerd.events, want);
    EXPECT_EQ(containerd.envelopes[0].namespace_(), "k8s.io");
    EXPECT_EQ(containerd.envelopes[0].event().type_url(), "containerd.events.TaskOOM");
    EXPECT_GT(containerd.envelopes[0].timestamp().seconds(), 0);
    co_await events.close();
    containerd.down();
  });
}

TEST_F(Events, OutliveARestartOfContainerd) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeContainerd containerd(executor, socket());
    EventPublisher events(executor, options());
    publish_oom(events, "before");
    containerd.up();
    // Acknowledged: one whose answer was lost with the connection would be sent again.
    const bool flushed = co_await events.flush(deadline_in(seconds(30)));
    EXPECT_TRUE(flushed);
    containerd.down();
    publish_oom(events, "meanwhile");
    publish_oom(events, "still");
    containerd.up();
    co_await containerd.wait_for(3);
    const std::vector<std::string> want = {"/tasks/oom before", "/tasks/oom meanwhile",
                                           "/tasks/oom still"};
    EXPECT_EQ(containerd.events, want);
    co_await events.close();
    containerd.down();
  });
}

TEST_F(Events, AreBoundedAndLoseTheOldest) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeContainerd containerd(executor, socket());
    EventPublisher events(executor, options(2));
    for (const char* id : {"a", "b", "c"}) publish_oom(events, id);
    EXPECT_EQ(events.queued(), 2U);
    containerd.up();
    co_await containerd.wait_for(2);
    const std::vector<std::string> want = {"/tasks/oom b", "/tasks/oom c"};
    EXPECT_EQ(containerd.events, want);
    co_await events.close();
    containerd.down();
  });
}

TEST_F(Events, GiveUpOnOneThatIsRefused) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeContainerd containerd(executor, socket());
    containerd.refusals = 5;
    containerd.up();
    EventPublisher events(executor, options());
    publish_oom(events, "bad");
    publish_oom(events, "good");
    co_await containerd.wait_for(1);
    EXPECT_EQ(containerd.events[0], "/tasks/oom good");
    co_await events.close();
    containerd.down();
  });
}

TEST_F(Events, FlushGivesUpAtItsDeadline) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    EventPublisher events(executor, options());
    publish_oom(events, "a");
    const bool flushed = co_await events.flush(deadline_in(std::chrono::milliseconds(20)));
    EXPECT_FALSE(flushed);
    co_await events.close();
  });
}

}  // namespace
}  // namespace coffer::shim
