#include "guest-agent/stdio.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <thread>

#include "base/log.h"
#include "tests/base/run_task.h"

namespace coffer::agent {
namespace {

void put(const Fd& fd, std::string_view text) {
  ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(OutputStream, ReturnsWhatThereIsAndThenTheEnd) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 0);
    put(pipes.child_out, "some");
    const auto part = co_await pipes.ours.out->read(3);
    EXPECT_EQ(part.value_or(""), "som");
    pipes.child_out.reset();
    const auto rest = co_await pipes.ours.out->read(100);
    EXPECT_EQ(rest.value_or(""), "e");
    const auto end = co_await pipes.ours.out->read(100);
    EXPECT_EQ(end.value_or("x"), "");
  });
}

TEST(OutputStream, WaitsForDataThatComesLater) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 0);
    Scope scope(executor);
    std::string seen;
    scope.spawn([&]() -> Task<void> {
      const auto part = co_await pipes.ours.out->read(100);
      seen = part.value_or("");
    });
    scope.spawn([&]() -> Task<void> {
      put(pipes.child_out, "late");
      co_return;
    });
    co_await scope.join();
    EXPECT_EQ(seen, "late");
  });
}

TEST(OutputStream, EndsAfterTheExitThoughSomebodyHoldsTheOtherEnd) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 0);
    put(pipes.child_out, "tail");
    pipes.ours.process_exited();
    const auto tail = co_await pipes.ours.out->read(100);
    EXPECT_EQ(tail.value_or(""), "tail");
    const auto end = co_await pipes.ours.out->read(100);  // child_out is still open
    EXPECT_EQ(end.value_or("x"), "");
  });
}

// The timer was due, its handler had not run yet, and the stream went.
TEST(OutputStream, MayGoWhenItsDrainTimeIsUp) {
  asio::io_context loop(1);
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd writer(ends[1]);
  auto stream = std::make_unique<OutputStream>(loop.get_executor(), Fd(ends[0]));
  stream->process_exited();
  asio::post(loop, [&] {
    // No event tells that a timer is due but not yet handled: the loop is kept busy until it is.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    asio::post(loop, [&] { stream.reset(); });
  });
  loop.run();
  EXPECT_FALSE(stream);
}

TEST(OutputStream, NeverReturnsMoreThanAFrameHolds) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 0);
    put(pipes.child_out, std::string(1000000, 'x'));
    const auto all = co_await pipes.ours.out->read(0xffffffff);
    EXPECT_EQ(all.value_or("").size(), 1000000U);
    put(pipes.child_out, "y");
    const auto one = co_await pipes.ours.out->read(0);
    EXPECT_EQ(one.value_or(""), "y");
  });
}

TEST(InputStream, WritesInOrderAndClosesAfterwards) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 4096);
    Scope scope(executor);
    for (const char letter : {'a', 'b'}) {
      scope.spawn([&pipes, letter]() -> Task<void> {
        std::string data(20000, letter);  // more than the pipe holds
        const auto status = co_await pipes.ours.in->write(std::move(data));
        EXPECT_TRUE(status);
      });
    }
    scope.spawn(
        [&]() -> Task<void> { std::ignore = co_await pipes.ours.in->close_after_writes(); });
    OutputStream reader(executor, std::move(pipes.child_in));
    std::string all;
    for (;;) {
      const auto part = co_await reader.read(8192);
      EXPECT_TRUE(part);
      if (!part || part->empty()) break;
      all += *part;
    }
    EXPECT_EQ(all, std::string(20000, 'a') + std::string(20000, 'b'));
    co_await scope.join();
    std::string more("more");
    const auto refused = co_await pipes.ours.in->write(std::move(more));
    EXPECT_FALSE(refused);
  });
}

TEST(InputStream, SaysThatItsReaderIsGone) {
  ignore_sigpipe();
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 0);
    pipes.child_in.reset();
    std::string data("x");
    const auto status = co_await pipes.ours.in->write(std::move(data));
    EXPECT_FALSE(status);
    if (!status) {
      EXPECT_EQ(status.error().code(), Code::kFailedPrecondition);
    }
  });
}

TEST(InputStream, IsReleasedByTheExit) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    auto pipes = *make_pipes(executor, 4096);
    Scope scope(executor);
    Status status;
    scope.spawn([&]() -> Task<void> {
      std::string data(100000, 'x');
      status = co_await pipes.ours.in->write(std::move(data));
    });
    scope.spawn([&]() -> Task<void> {
      pipes.ours.process_exited();
      co_return;
    });
    co_await scope.join();
    EXPECT_FALSE(status);
  });
}

TEST(Terminal, EndsWhenItsOtherSideIsClosed) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_EQ(::grantpt(master.get()), 0);
    EXPECT_EQ(::unlockpt(master.get()), 0);
    Fd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    auto stdio = *stdio_of_terminal(executor, std::move(master));
    EXPECT_TRUE(resize_terminal(stdio.terminal.get(), 50, 100000));
    put(slave, "bye");
    const auto text = co_await stdio.out->read(100);
    EXPECT_EQ(text.value_or(""), "bye");
    slave.reset();
    const auto end = co_await stdio.out->read(100);
    EXPECT_EQ(end.value_or("x"), "");
  });
}

}  // namespace
}  // namespace coffer::agent
