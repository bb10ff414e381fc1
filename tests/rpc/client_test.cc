#include "rpc/ttrpc/client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "rpc/ttrpc/server.h"
#include "tests/base/run_task.h"
#include "tests/rpc/peer.h"

namespace coffer::rpc {
namespace {

using Executor = asio::any_io_executor;
using std::chrono::milliseconds;
using Text = Result<std::string>;

std::string answer_bytes(std::uint32_t id, const std::string& text) {
  return frame_bytes({.stream_id = id, .type = kResponse}, response_prefix(text.size()) + text);
}

Request parse(Frame frame) {
  auto request = parse_request(std::move(frame.payload));
  check(request.has_value(), "bad request");
  return *std::move(request);
}

TEST(Client, SendsARequestAndTakesItsAnswer) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Client client(executor, std::move(pair.ours));
    Peer server(executor, std::move(pair.theirs));
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      const CallOptions options(std::chrono::hours(1), Metadata{{"k", "v"}});
      const auto answer = co_await client.call("svc", "Method", "in", options);
      EXPECT_EQ(answer->view(), "out");
    });
    auto frame = co_await server.read();
    EXPECT_EQ(frame->header.stream_id, 1U);
    EXPECT_EQ(frame->header.flags, 0);
    const Request request = parse(*std::move(frame));
    EXPECT_EQ(request.service, "svc");
    EXPECT_EQ(request.method, "Method");
    EXPECT_EQ(request.payload.view(), "in");
    EXPECT_EQ(request.metadata, (Metadata{{"k", "v"}}));
    EXPECT_GT(request.timeout_nanos, 0);
    EXPECT_LE(request.timeout_nanos, 3'600'000'000'000);
    co_await server.send(answer_bytes(1, "out"));
    co_await scope.join();
  });
}

TEST(Client, MatchesAnswersThatComeInAnyOrder) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Client client(executor, std::move(pair.ours));
    Peer server(executor, std::move(pair.theirs));
    Scope scope(executor);
    const int calls = 500;
    int right = 0;
    for (int i = 0; i < calls; ++i) {
      scope.spawn([&, i]() -> Task<void> {
        const auto answer = co_await client.call("s", "m", std::to_string(i));
        right += answer && answer->view() == std::to_string(i) ? 1 : 0;
      });
    }
    std::vector<std::string> answers;
    std::uint32_t last = 0;
    for (int i = 0; i < calls; ++i) {
      auto frame = co_await server.read();
      const std::uint32_t id = frame->header.stream_id;
      EXPECT_EQ(id, i == 0 ? 1 : last + 2);
      last = id;
      answers.push_back(answer_bytes(id, std::string(parse(*std::move(frame)).payload.view())));
    }
    std::reverse(answers.begin(), answers.end());
    for (const auto& answer : answers) co_await server.send(answer);
    co_await scope.join();
    EXPECT_EQ(right, calls);
  });
}

TEST(Client, GivesUpAtTheTimeoutAndDropsTheLateAnswer) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Client client(executor, std::move(pair.ours));
    Peer server(executor, std::move(pair.theirs));
    const CallOptions options(milliseconds(1));
    const auto late = co_await client.call("s", "m", "", options);
    EXPECT_EQ(late.error().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(late.error().message(), "call s/m: context deadline exceeded");
    co_await server.send(answer_bytes(1, "late"));
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      const auto answer = co_await client.call("s", "m", "");
      EXPECT_EQ(answer->view(), "second");
    });
    co_await server.send(answer_bytes(3, "second"));
    co_await scope.join();
  });
}

TEST(Client, ReportsTheServersStatusAndABadAnswer) {
  struct Case {
    std::string payload;
    Code code;
  };
  const std::vector<Case> cases = {
      {error_response(Code::kNotFound, "gone"), Code::kNotFound},
      {"\xff", Code::kInvalidArgument},
      {std::string(101, 'x'), Code::kResourceExhausted},
  };
  run_void([&](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Limits limits;
    limits.max_payload = 100;
    Client client(executor, std::move(pair.ours), limits);
    Peer server(executor, std::move(pair.theirs));
    const FrameHeader header{.type = kResponse};
    const auto respond = [&](std::uint32_t id, std::string payload) {
      FrameHeader own = header;
      own.stream_id = id;
      return frame_bytes(own, payload);
    };
    std::uint32_t id = 1;
    for (const auto& c : cases) {
      Scope scope(executor);
      scope.spawn([&]() -> Task<void> {
        const auto answer = co_await client.call("s", "m", "");
        EXPECT_EQ(answer.error().code(), c.code);
      });
      co_await server.read();
      co_await server.send(respond(id, c.payload));
      co_await scope.join();
      id += 2;
    }
    EXPECT_FALSE(client.closed());
  });
}

TEST(Client, RefusesARequestThatIsTooLargeBeforeSending) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Client client(executor, std::move(pair.ours));
    const auto answer = co_await client.call("s", "m", std::string(kMaxPayload, 'x'));
    EXPECT_EQ(answer.error().code(), Code::kResourceExhausted);
    EXPECT_FALSE(client.closed());
    char byte = 0;
    EXPECT_EQ(::recv(pair.theirs.get(), &byte, 1, MSG_DONTWAIT), -1);
  });
}

TEST(Client, FailsEveryCallWhenTheConnectionIsLost) {
  for (const std::string& tail : {std::string(), std::string("\x00\x00", 2)}) {
    run_void([&](Executor executor) -> Task<void> {
      auto pair = socket_pair();
      Client client(executor, std::move(pair.ours));
      Peer server(executor, std::move(pair.theirs));
      Scope scope(executor);
      int failed = 0;
      for (int i = 0; i < 3; ++i) {
        scope.spawn([&]() -> Task<void> {
          const auto answer = co_await client.call("s", "m", "");
          failed += !answer && answer.error().code() == Code::kUnavailable ? 1 : 0;
        });
      }
      co_await server.read();
      co_await server.send(tail);
      server.close();
      co_await client.wait_closed();
      co_await scope.join();
      EXPECT_EQ(failed, 3);
      EXPECT_TRUE(client.closed());
      const auto after = co_await client.call("s", "m", "");
      EXPECT_EQ(after.error().code(), Code::kUnavailable);
    });
  }
}

TEST(Client, MayDieWhileCallsWait) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    auto client = std::make_unique<Client>(executor, std::move(pair.ours));
    Scope scope(executor);
    Code code = Code::kOk;
    scope.spawn([&]() -> Task<void> {
      const auto answer = co_await client->call("s", "m", "");
      code = answer.error().code();
    });
    client.reset();
    co_await scope.join();
    EXPECT_EQ(code, Code::kUnavailable);
  });
}

TEST(Client, ForgetsACallThatIsCancelled) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Client client(executor, std::move(pair.ours));
    Peer server(executor, std::move(pair.theirs));
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      co_await client.call("s", "m", "");
      ADD_FAILURE() << "not reached";
    });
    co_await server.read();
    co_await scope.close();
    co_await server.send(answer_bytes(1, "late"));
    server.close();
    co_await client.wait_closed();
  });
}

TEST(Client, WaitsWhenTheServerDoesNotRead) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Limits limits;
    limits.max_queued_bytes = 1 << 20;
    Client client(executor, std::move(pair.ours), limits);
    const CallOptions options(milliseconds(20));
    Scope scope(executor);
    int deadlines = 0;
    for (int i = 0; i < 50; ++i) {
      scope.spawn([&]() -> Task<void> {
        const auto answer = co_await client.call("s", "m", std::string(100000, 'x'), options);
        deadlines += answer.error().code() == Code::kDeadlineExceeded ? 1 : 0;
      });
    }
    co_await scope.join();
    EXPECT_EQ(deadlines, 50);
  });
}

// Both ends ours, with payloads that need many reads and short writes.
TEST(ClientAndServer, MoveLargePayloadsAtOnce) {
  run_void([](Executor executor) -> Task<void> {
    Router router;
    router.add("s", "Echo", [](CallContext, Payload payload) -> Task<Text> {
      co_return std::move(payload).str();
    });
    Server server(executor, std::move(router));
    auto pair = socket_pair();
    const int small = 4096;
    ::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    server.serve(std::move(pair.theirs));
    Client client(executor, std::move(pair.ours));
    Scope scope(executor);
    int right = 0;
    for (std::size_t i = 0; i < 12; ++i) {
      scope.spawn([&, i]() -> Task<void> {
        const std::string text(i % 3 == 0 ? kMaxPayload - 100 : i * 1000,
                               static_cast<char>('a' + i));
        const auto answer = co_await client.call("s", "Echo", text);
        right += answer && answer->view() == text ? 1 : 0;
      });
    }
    co_await scope.join();
    EXPECT_EQ(right, 12);
    co_await server.shutdown();
    co_await client.wait_closed();
  });
}

}  // namespace
}  // namespace coffer::rpc
