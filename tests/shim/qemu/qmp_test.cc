#include "shim/qemu/qmp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/base/run_task.h"

namespace coffer::shim {
namespace {

using Executor = asio::any_io_executor;
using testing::HasSubstr;

TEST(QmpMessage, ReadsTheFourKinds) {
  const auto event = parse_qmp_message(
      R"({"event":"SHUTDOWN","timestamp":{"seconds":1,"microseconds":2},"data":{"guest":true}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, QmpMessage::Type::kEvent);
  EXPECT_EQ(event->name, "SHUTDOWN");
  EXPECT_EQ(event->data, R"({"guest":true})");
  const auto reply = parse_qmp_message(R"({"return":{"a":1},"id":7})");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->id, 7U);
  EXPECT_EQ(reply->data, R"({"a":1})");
  const auto error = parse_qmp_message(R"({"error":{"class":"GenericError","desc":"no"},"id":8})");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->name, "GenericError");
  EXPECT_EQ(error->text, "no");
  EXPECT_EQ(parse_qmp_message(R"({"QMP":{"version":{},"capabilities":[]}})")->type,
            QmpMessage::Type::kGreeting);
}

TEST(QmpMessage, RefusesEverythingElse) {
  for (const auto* bad :
       {"", "[]", "{}", "nope", R"({"event":3})", R"({"event":""})", R"({"return":{},"id":"x"})",
        R"({"return":{},"id":-1})", R"({"error":"text"})", R"({"return":1,"return":2})"}) {
    EXPECT_FALSE(parse_qmp_message(bad)) << bad;
  }
  EXPECT_FALSE(parse_qmp_message(std::string(10000, '[')));
}

TEST(QmpLines, CutsAtAnyPlaceAndHoldsItsLimit) {
  const std::string kText = "{\"a\":1}\r\n{\"b\":2}\n";
  for (std::size_t step = 1; step <= kText.size(); ++step) {
    QmpLines lines;
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < kText.size(); i += step) {
      ASSERT_TRUE(lines.append(kText.substr(i, step)));
      while (auto line = lines.next()) seen.push_back(*line);
    }
    EXPECT_THAT(seen, testing::ElementsAre("{\"a\":1}", "{\"b\":2}"));
  }
  QmpLines lines;
  EXPECT_TRUE(lines.append(std::string(kMaxQmpLine, 'x')));
  EXPECT_EQ(lines.append("x").error().code(), Code::kResourceExhausted);
}

TEST(QmpCommand, IsOneLine) {
  EXPECT_EQ(qmp_command("quit", "", 3), "{\"execute\":\"quit\",\"id\":3}\n");
  EXPECT_EQ(qmp_command("a", "{\"b\":1}", 4),
            "{\"execute\":\"a\",\"arguments\":{\"b\":1},\"id\":4}\n");
}

// QEMU's side of a monitor.
class FakeMonitor {
 public:
  FakeMonitor() {
    std::array<int, 2> fds{};
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) == 0,
          "socketpair");
    qemu_.reset(fds[0]);
    client_.reset(fds[1]);
  }
  Fd take_client() { return std::move(client_); }
  void say(std::string_view text) const {
    EXPECT_TRUE(write_all(qemu_.get(), as_bytes(text), "fake monitor"));
  }
  void hang_up() { qemu_.reset(); }
  // The next line the client sends.
  Task<std::string> hear() {
    std::string line;
    while (!line.ends_with('\n')) {
      char c = 0;
      const ssize_t count = ::read(qemu_.get(), &c, 1);
      if (count == 1) {
        line += c;
      } else if (count < 0 && errno == EAGAIN) {
        const auto ready = co_await wait_readable(qemu_.get());
        if (!ready) break;
      } else {
        break;
      }
    }
    co_return line;
  }

 private:
  Fd qemu_;
  Fd client_;
};

constexpr const char* kGreeting = "{\"QMP\":{\"version\":{},\"capabilities\":[\"oob\"]}}\r\n";

TEST(QmpClient, NegotiatesAndAnswersOutOfOrder) {
  run_void([](Executor executor) -> Task<void> {
    FakeMonitor monitor;
    std::vector<std::string> events;
    QmpClient client(executor, monitor.take_client(),
                     [&](const QmpMessage& event) { events.push_back(event.name); });
    Scope scope(executor);
    bool greeted = false;
    scope.spawn([&]() -> Task<void> {
      const auto status = co_await client.handshake({});
      greeted = status.has_value();
    });
    monitor.say(kGreeting);
    const std::string negotiated = co_await monitor.hear();
    EXPECT_EQ(negotiated, "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
    monitor.say("{\"return\":{},\"id\":1}\r\n");
    co_await scope.join();
    EXPECT_TRUE(greeted);

    std::vector<std::string> answers;
    scope.spawn([&]() -> Task<void> {
      const auto reply = co_await client.execute("first", "", {});
      answers.push_back("first " + reply.value_or("failed"));
    });
    scope.spawn([&]() -> Task<void> {
      const auto reply = co_await client.execute("second", "{}", {});
      answers.push_back("second " + reply.value_or("failed"));
    });
    (void)co_await monitor.hear();
    (void)co_await monitor.hear();
    monitor.say("{\"event\":\"STOP\",\"timestamp\":{}}\n{\"return\":\"b\",\"id\":3}\n");
    monitor.say("{\"return\":\"unknown\",\"id\":99}\n{\"return\":\"a\",\"id\":2}\n");
    co_await scope.join();
    EXPECT_THAT(answers, testing::ElementsAre("second \"b\"", "first \"a\""));
    EXPECT_THAT(events, testing::ElementsAre("STOP"));
    co_await client.close();
  });
}

TEST(QmpClient, TurnsRefusalsIntoErrors) {
  run_void([](Executor executor) -> Task<void> {
    FakeMonitor monitor;
    QmpClient client(executor, monitor.take_client(), nullptr);
    const std::pair<const char*, Code> kCases[] = {{"GenericError", Code::kFailedPrecondition},
                                                   {"DeviceNotFound", Code::kNotFound},
                                                   {"CommandNotFound", Code::kUnimplemented}};
    int id = 0;
    for (const auto& [name, code] : kCases) {
      monitor.say("{\"error\":{\"class\":\"" + std::string(name) +
                  "\",\"desc\":\"why\"},\"id\":" + std::to_string(++id) + "}\n");
      const auto reply = co_await client.execute("x", "", {});
      EXPECT_FALSE(reply);
      EXPECT_EQ(reply.error().code(), code);
      EXPECT_EQ(reply.error().message(), "QMP 'x': why");
    }
    co_await client.close();
  });
}

TEST(QmpClient, ADeadQemuFailsEveryCall) {
  run_void([](Executor executor) -> Task<void> {
    FakeMonitor monitor;
    QmpClient client(executor, monitor.take_client(), nullptr);
    Scope scope(executor);
    Code code = Code::kOk;
    scope.spawn([&]() -> Task<void> {
      const auto reply = co_await client.execute("x", "", {});
      code = reply ? Code::kOk : reply.error().code();
    });
    (void)co_await monitor.hear();
    monitor.hang_up();
    co_await scope.join();
    EXPECT_EQ(code, Code::kUnavailable);
    EXPECT_TRUE(client.is_closed());
    const auto later = co_await client.execute("y", "", {});
    EXPECT_EQ(later.error().code(), Code::kUnavailable);
    const auto greeted = co_await client.handshake({});
    EXPECT_EQ(greeted.error().code(), Code::kUnavailable);
  });
}

TEST(QmpClient, StopsAtWhatIsNoQmp) {
  run_void([](Executor executor) -> Task<void> {
    FakeMonitor monitor;
    QmpClient client(executor, monitor.take_client(), nullptr);
    monitor.say("HTTP/1.1 200 OK\n");
    const auto reply = co_await client.execute("x", "", {});
    EXPECT_FALSE(reply);
    EXPECT_THAT(reply.error().to_string(), HasSubstr("QMP message"));
    EXPECT_TRUE(client.is_closed());
  });
}

TEST(QmpClient, GivesUpAtTheDeadline) {
  run_void([](Executor executor) -> Task<void> {
    FakeMonitor monitor;
    QmpClient client(executor, monitor.take_client(), nullptr);
    const Deadline deadline = deadline_in(std::chrono::milliseconds(1));
    const auto reply = co_await client.execute("x", "", deadline);
    EXPECT_EQ(reply.error().code(), Code::kDeadlineExceeded);
    // The answer that comes too late disturbs no later call.
    monitor.say("{\"return\":\"late\",\"id\":1}\n{\"return\":\"mine\",\"id\":2}\n");
    const auto next = co_await client.execute("y", "", {});
    EXPECT_EQ(next, "\"mine\"");
    co_await client.close();
  });
}

}  // namespace
}  // namespace coffer::shim
