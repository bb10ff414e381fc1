#include "shim/task/stdio.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/fd.h"
#include "tests/base/run_task.h"
#include "tests/shim/task/fake_agent.h"
#include "tests/temp_dir.h"

namespace coffer::shim {
namespace {

using coffer::testing::TempDir;
using testing::FakeAgent;

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 31 + i / 251) & 0xffU);
  return text;
}

std::string make_fifo(const TempDir& dir, const char* name) {
  const std::string path = (dir.path() / name).native();
  check(::mkfifo(path.c_str(), 0600) == 0, "mkfifo failed");
  return path;
}

// Reads to the end without blocking the loop.
Task<std::string> read_to_end(const Fd& fd) {
  std::string all;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count == 0) break;
    if (count > 0) {
      all.append(buffer.data(), static_cast<std::size_t>(count));
      continue;
    }
    check(errno == EAGAIN, "read failed");
    const Result<bool> ready = co_await wait_readable(fd.get());
    check(ready.has_value(), "wait failed");
  }
  co_return all;
}

class Stdio : public ::testing::Test {
 protected:
  std::unique_ptr<ProcessStdio> make(asio::any_io_executor executor, FakeAgent& agent,
                                     StdioPaths paths) {
    auto client = std::make_shared<AgentClient>(executor, agent.connect(), Logger());
    const ProcessName name{.containerd_namespace = "ns", .container_id = "c1", .exec_id = ""};
    return std::make_unique<ProcessStdio>(executor, std::move(client), name, std::move(paths),
                                          Logger());
  }
  // Containerd's end of an output.
  static Fd reader(const std::string& path) { return *open_file(path, O_RDONLY | O_NONBLOCK); }

  TempDir dir_;
};

TEST_F(Stdio, BringsEveryByteOfBothOutputs) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    StdioPaths paths;
    paths.out = make_fifo(dir_, "out");
    paths.err = make_fifo(dir_, "err");
    const Fd out = reader(paths.out);
    const Fd err = reader(paths.err);
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened);
    const std::string big = pattern(std::size_t{8} << 20U);
    auto* process = agent.process("c1", "");
    for (std::size_t at = 0; at < big.size(); at += 200000) {
      std::string chunk = big.substr(at, 200000);
      process->out.try_push(chunk);
    }
    std::string complaint = "oh no";
    process->err.try_push(complaint);
    process->exit(0);
    stdio->start();
    const std::string got = co_await read_to_end(out);
    EXPECT_EQ(got.size(), big.size());
    EXPECT_TRUE(got == big);
    const std::string said = co_await read_to_end(err);
    EXPECT_EQ(said, "oh no");
    co_await stdio->drained();
    co_await stdio->close();
  });
}

TEST_F(Stdio, AReaderThatStopsHoldsUpOnlyItsStream) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    StdioPaths paths;
    paths.out = make_fifo(dir_, "out");
    paths.err = make_fifo(dir_, "err");
    const Fd out = reader(paths.out);
    const Fd err = reader(paths.err);
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened);
    auto* process = agent.process("c1", "");
    for (int i = 0; i < 100; ++i) {
      std::string chunk(100000, 'x');
      process->out.try_push(chunk);
    }
    std::string word = "still here";
    process->err.try_push(word);
    process->exit(0);
    stdio->start();
    // Nobody reads `out`, yet this ends.
    const std::string said = co_await read_to_end(err);
    EXPECT_EQ(said, "still here");
    EXPECT_GT(process->out.size(), 80U);  // what cannot be delivered is not fetched either
    const std::string got = co_await read_to_end(out);
    EXPECT_EQ(got.size(), 100U * 100000U);
    co_await stdio->drained();
    co_await stdio->close();
  });
}

TEST_F(Stdio, CloseIoEndsStdinAfterWhatIsQueued) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    StdioPaths paths;
    paths.in = make_fifo(dir_, "in");
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened);
    // As ctr does: the client's end stays open.
    const Fd writer = *open_file(paths.in, O_WRONLY | O_NONBLOCK);
    stdio->start();
    const std::string sent = pattern(60000);
    EXPECT_TRUE(write_all(writer.get(), as_bytes(sent), "write"));
    stdio->close_stdin();
    auto* process = agent.process("c1", "");
    while (!process->in_closed) co_await sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(process->in == sent);
    process->exit(0);
    co_await stdio->drained();
    co_await stdio->close();
  });
}

TEST_F(Stdio, AClientThatLeavesDoesNotEndStdin) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    StdioPaths paths;
    paths.in = make_fifo(dir_, "in");
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened);
    stdio->start();
    auto* process = agent.process("c1", "");
    for (const std::string part : {"one ", "two"}) {
      const Fd writer = *open_file(paths.in, O_WRONLY | O_NONBLOCK);
      EXPECT_TRUE(write_all(writer.get(), as_bytes(part), "write"));
    }
    while (process->in != "one two") co_await sleep_for(std::chrono::milliseconds(1));
    EXPECT_FALSE(process->in_closed);
    process->exit(0);
    co_await stdio->drained();
    co_await stdio->close();
  });
}

TEST_F(Stdio, GivingUpDrainsAtOnce) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    StdioPaths paths;
    paths.out = make_fifo(dir_, "out");
    const Fd out = reader(paths.out);
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened);
    for (int i = 0; i < 10; ++i) {
      std::string chunk(100000, 'x');
      agent.process("c1", "")->out.try_push(chunk);
    }
    stdio->start();
    while (stdio->written() == 0) co_await sleep_for(std::chrono::milliseconds(1));
    stdio->give_up();
    co_await stdio->drained();
    co_await stdio->close();
  });
}

TEST_F(Stdio, AppendsToAFile) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    const std::string file = (dir_.path() / "deep" / "log").native();
    StdioPaths paths;
    paths.out = "file://" + file;
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened);
    std::string line = "hello\n";
    agent.process("c1", "")->out.try_push(line);
    agent.process("c1", "")->exit(0);
    stdio->start();
    co_await stdio->drained();
    co_await stdio->close();
    EXPECT_EQ(*read_file(file), "hello\n");
  });
}

TEST_F(Stdio, FeedsALoggerProgram) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    const std::string script = (dir_.path() / "logger").native();
    const std::string log = (dir_.path() / "log").native();
    EXPECT_TRUE(write_file(script,
                           "#!/bin/sh\nexec 5>&-\n"
                           "{ echo \"$CONTAINER_ID $CONTAINER_NAMESPACE $*\"; cat <&3; } > " +
                               log + "\n",
                           0755));
    StdioPaths paths;
    paths.out = "binary://" + script + "?key=a%20value";
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_TRUE(opened) << opened.error().to_string();
    std::string line = "hello\n";
    agent.process("c1", "")->out.try_push(line);
    agent.process("c1", "")->exit(0);
    stdio->start();
    co_await stdio->drained();
    std::string text;
    while (!text.ends_with("hello\n")) {
      text = read_file(log).value_or("");
      co_await sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(text, "c1 ns key a value\nhello\n");
    co_await stdio->close();
  });
}

TEST_F(Stdio, SaysThatALoggerDidNotStart) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    FakeAgent agent(executor);
    StdioPaths paths;
    paths.out = "binary-v2:///bin/true";
    auto stdio = make(executor, agent, paths);
    const Status opened = co_await stdio->open();
    EXPECT_FALSE(opened);
    EXPECT_NE(opened.error().to_string().find("ended before it was ready"), std::string::npos);
    co_await stdio->close();
  });
}

TEST(StdioAddress, ReadsEachScheme) {
  EXPECT_EQ(parse_stdio_address("")->kind, StdioAddress::Kind::kNone);
  EXPECT_EQ(parse_stdio_address("/run/f")->kind, StdioAddress::Kind::kFifo);
  EXPECT_EQ(parse_stdio_address("fifo:///run/f")->path, "/run/f");
  EXPECT_EQ(parse_stdio_address("file:///log/a+b%20c")->path, "/log/a+b c");
  const auto binary = parse_stdio_address("binary:///bin/x?a=1+1&b");
  ASSERT_TRUE(binary);
  EXPECT_EQ(binary->path, "/bin/x");
  ASSERT_EQ(binary->query.size(), 2U);
  EXPECT_EQ(binary->query[0].second, "1 1");
  EXPECT_EQ(binary->query[1].first, "b");
}

TEST(StdioAddress, RefusesOthers) {
  for (const char* text : {"http://x", "file://", "relative", "file:///%zz", "file:///a%00b"}) {
    EXPECT_FALSE(parse_stdio_address(text)) << text;
  }
}

}  // namespace
}  // namespace coffer::shim
