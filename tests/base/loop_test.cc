#include "base/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "tests/base/run_task.h"

namespace coffer {
namespace {

using Executor = asio::any_io_executor;
using std::chrono::milliseconds;

// Appends to the log when it is destroyed: how a coroutine's frame ended.
struct Trace {
  std::vector<std::string>* log;
  std::string text;
  ~Trace() { log->push_back(text); }
};

TEST(Event, WakesAllWaitersAndStaysSet) {
  run_void([](Executor executor) -> Task<void> {
    Event event(executor);
    Scope scope(executor);
    int woken = 0;
    for (int i = 0; i < 3; ++i) {
      scope.spawn([&]() -> Task<void> { woken += co_await event.wait() ? 1 : 0; });
    }
    EXPECT_EQ(woken, 0);
    event.set();
    EXPECT_EQ(woken, 0);  // from the loop, not from inside set()
    co_await scope.join();
    EXPECT_EQ(woken, 3);
    EXPECT_TRUE(co_await event.wait());
  });
}

TEST(Event, GivesUpAtTheDeadline) {
  run_void([](Executor executor) -> Task<void> {
    Event event(executor);
    EXPECT_FALSE(co_await event.wait(deadline_in(milliseconds(1))));
    event.set();
    EXPECT_TRUE(co_await event.wait(deadline_in(milliseconds(1))));
  });
}

TEST(Event, CancelsItsWaitersWhenItDies) {
  run_void([](Executor executor) -> Task<void> {
    std::vector<std::string> log;
    Scope scope(executor);
    auto event = std::make_unique<Event>(executor);
    scope.spawn([&]() -> Task<void> {
      const Trace trace{&log, "unwound"};
      co_await event->wait();
      log.emplace_back("not reached");
    });
    event.reset();
    co_await scope.join();
    EXPECT_EQ(log, std::vector<std::string>{"unwound"});
  });
}

TEST(Future, KeepsItsFirstValue) {
  run_void([](Executor executor) -> Task<void> {
    Future<std::string> future(executor);
    EXPECT_FALSE(co_await future.wait(deadline_in(milliseconds(1))));
    EXPECT_TRUE(future.set("a"));
    EXPECT_FALSE(future.set("b"));
    EXPECT_EQ(co_await future.wait(), "a");
  });
}

TEST(AsyncMutex, AdmitsOneAtATimeInOrderOfArrival) {
  run_void([](Executor executor) -> Task<void> {
    AsyncMutex mutex(executor);
    Scope scope(executor);
    std::string order;
    for (const char name : {'a', 'b', 'c'}) {
      scope.spawn([&, name]() -> Task<void> {
        const auto lock = co_await mutex.lock();
        order += name;
        co_await sleep_for(milliseconds(1));
        order += name;
      });
    }
    co_await scope.join();
    EXPECT_EQ(order, "aabbcc");
    EXPECT_FALSE(mutex.locked());
  });
}

TEST(AsyncMutex, ACancelledWaiterDoesNotKeepTheLock) {
  run_void([](Executor executor) -> Task<void> {
    AsyncMutex mutex(executor);
    Scope scope(executor);
    {
      const auto lock = co_await mutex.lock();
      scope.spawn([&]() -> Task<void> { const auto inner = co_await mutex.lock(); });
      co_await scope.close();
      EXPECT_TRUE(mutex.locked());
    }
    EXPECT_FALSE(mutex.locked());
    const auto again = co_await mutex.lock();
  });
}

TEST(Queue, HoldsItsCapacityAndDrainsAfterClose) {
  run_void([](Executor executor) -> Task<void> {
    Queue<int> queue(executor, 2);
    Scope scope(executor);
    std::vector<int> got;
    scope.spawn([&]() -> Task<void> {
      for (int i = 0; i < 5; ++i) EXPECT_TRUE(co_await queue.push(i));
      queue.close();
    });
    EXPECT_EQ(queue.size(), 2U);
    while (const auto item = co_await queue.pop()) got.push_back(*item);
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4}));
    EXPECT_FALSE(co_await queue.push(9));
    co_await scope.join();
  });
}

TEST(Scope, CancelUnwindsAndJoins) {
  run_void([](Executor executor) -> Task<void> {
    std::vector<std::string> log;
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      const Trace outer{&log, "outer"};
      const auto nested = [](std::vector<std::string>* trace) -> Task<void> {
        const Trace inner{trace, "inner"};
        co_await sleep_for(std::chrono::hours(1));
      };
      co_await nested(&log);
      log.emplace_back("not reached");
    });
    EXPECT_EQ(scope.running(), 1U);
    co_await scope.close();
    EXPECT_EQ(scope.running(), 0U);
    EXPECT_EQ(log, (std::vector<std::string>{"inner", "outer"}));
  });
}

TEST(Scope, LetsCleanUpSuspendAfterCancellation) {
  run_void([](Executor executor) -> Task<void> {
    bool cleaned = false;
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      try {
        co_await sleep_for(std::chrono::hours(1));
      } catch (const std::exception&) {
        cleaned = false;
      }
      co_await ignore_cancellation();
      co_await sleep_for(milliseconds(1));
      cleaned = true;
    });
    co_await scope.close();
    EXPECT_TRUE(cleaned);
  });
}

TEST(Scope, AbortsOnAnExceptionThatIsNotACancellation) {
  EXPECT_DEATH(run_void([](Executor executor) -> Task<void> {
                 Scope scope(executor);
                 scope.spawn([]() -> Task<void> {
                   throw std::runtime_error("boom");
                   co_return;
                 });
                 co_await scope.join();
               }),
               "bug: boom");
}

TEST(WithDeadline, CancelsAndWaitsForTheEnd) {
  run_void([](Executor) -> Task<void> {
    std::vector<std::string> log;
    const auto forever = [](std::vector<std::string>* trace) -> Task<void> {
      const Trace end{trace, "ended"};
      co_await sleep_for(std::chrono::hours(1));
    };
    EXPECT_FALSE(co_await with_deadline(forever(&log), deadline_in(milliseconds(1))));
    EXPECT_EQ(log, std::vector<std::string>{"ended"});
    EXPECT_TRUE(
        co_await with_deadline(sleep_for(milliseconds(1)), deadline_in(milliseconds(5000))));
    EXPECT_TRUE(co_await with_deadline(sleep_for(milliseconds(1)), std::nullopt));
  });
}

TEST(WithDeadline, PassesTheCallersCancellationOn) {
  run_void([](Executor executor) -> Task<void> {
    std::vector<std::string> log;
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      const Trace end{&log, "ended"};
      co_await with_deadline(sleep_for(std::chrono::hours(1)), deadline_in(std::chrono::hours(1)));
      log.emplace_back("not reached");
    });
    co_await scope.close();
    EXPECT_EQ(log, std::vector<std::string>{"ended"});
  });
}

TEST(WaitReadable, SeesDataAndEndAndHoldsItsDeadline) {
  run_void([](Executor) -> Task<void> {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    Fd a(ends[0]);
    Fd b(ends[1]);
    EXPECT_FALSE((co_await wait_readable(a.get(), deadline_in(milliseconds(1)))).value());
    EXPECT_EQ(::write(b.get(), "x", 1), 1);
    EXPECT_TRUE((co_await wait_readable(a.get())).value());
    EXPECT_TRUE((co_await wait_readable(a.get())).value());  // still unread
    char byte = 0;
    EXPECT_EQ(::read(a.get(), &byte, 1), 1);
    b.reset();
    EXPECT_TRUE((co_await wait_readable(a.get())).value());
    EXPECT_FALSE(co_await wait_readable(-1));
  });
}

}  // namespace
}  // namespace coffer
