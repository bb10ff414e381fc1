#include "rpc/ttrpc/stream.h"

#include <gtest/gtest.h>

#include <vector>

#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/server.h"
#include "tests/base/run_task.h"
#include "tests/rpc/peer.h"

namespace coffer::rpc {
namespace {

using Executor = asio::any_io_executor;
using std::chrono::milliseconds;
using Reply = Result<std::optional<std::string>>;

constexpr std::uint8_t kClosed = kRemoteClosed | kNoData;

std::string open_bytes(std::uint32_t id, std::string_view method) {
  return frame_bytes({.stream_id = id, .type = kRequest, .flags = kRemoteOpen},
                     request_prefix({.service = "test.Stream", .method = method}, std::nullopt));
}
std::string data_bytes(std::uint32_t id, const std::string& text, std::uint8_t flags = 0) {
  return frame_bytes({.stream_id = id, .type = kData, .flags = flags}, text);
}

Client::StreamOptions with_first(std::string message) {
  Client::StreamOptions options;
  options.first = std::move(message);
  return options;
}
Client::StreamOptions with_only(std::string message) {
  auto options = with_first(std::move(message));
  options.client_streams = false;
  return options;
}

class Fixture {
 public:
  explicit Fixture(Executor executor, Limits limits = {}) : gate(executor) {
    Router router;
    // Every message comes back.
    router.add_stream("test.Stream", "Echo", [](CallContext, Stream& stream) -> Task<Reply> {
      while (true) {
        COFFER_CO_TRY(auto message, co_await stream.receive());
        if (!message) co_return std::nullopt;
        COFFER_CO_TRY_VOID(co_await stream.send(std::move(*message).str()));
      }
    });
    // One answer at the end.
    router.add_stream("test.Stream", "Join", [](CallContext, Stream& stream) -> Task<Reply> {
      std::string all;
      while (true) {
        COFFER_CO_TRY(auto message, co_await stream.receive());
        if (!message) co_return all;
        all += "[" + std::string(message->view()) + "]";
      }
    });
    // One request, many answers.
    router.add_stream("test.Stream", "Repeat", [](CallContext, Stream& stream) -> Task<Reply> {
      COFFER_CO_TRY(auto message, co_await stream.receive());
      COFFER_CO_TRY(auto end, co_await stream.receive());
      if (!message || end) co_return fail(Code::kInternal, "not one message");
      for (int i = 0; i < 3; ++i) {
        COFFER_CO_TRY_VOID(co_await stream.send(std::string(message->view())));
      }
      co_return std::nullopt;
    });
    router.add_stream("test.Stream", "Fail", [](CallContext, Stream& stream) -> Task<Reply> {
      COFFER_CO_TRY_VOID(co_await stream.receive());
      co_return fail(Code::kAborted, "no more");
    });
    // Takes nothing before the gate opens.
    router.add_stream("test.Stream", "Slow", [this](CallContext, Stream& stream) -> Task<Reply> {
      co_await gate.wait();
      auto message = co_await stream.receive();
      outcome = message ? Code::kOk : message.error().code();
      co_return std::nullopt;
    });
    router.add("test.Echo", "Echo", [](CallContext, Payload payload) -> Task<Result<std::string>> {
      co_return std::move(payload).str();
    });
    server.emplace(executor, std::move(router), limits);
    auto pair = socket_pair();
    server->serve(std::move(pair.theirs));
    peer.emplace(executor, std::move(pair.ours));
    pair = socket_pair();
    server->serve(std::move(pair.theirs));
    client.emplace(executor, std::move(pair.ours), limits);
  }
  Task<void> finish() {
    peer->close();
    co_await server->shutdown();
    co_await client->wait_closed();
  }
  Task<std::unique_ptr<Stream>> open(std::string_view method, Client::StreamOptions options = {}) {
    auto stream = co_await client->open_stream("test.Stream", method, std::move(options));
    check(stream.has_value(), "open");
    co_return *std::move(stream);
  }

  Event gate;
  Code outcome = Code::kOk;
  std::optional<Server> server;
  std::optional<Peer> peer;
  std::optional<Client> client;
};

Task<std::string> next(Stream& stream) {
  auto message = co_await stream.receive();
  if (!message) co_return "error: " + message.error().to_string();
  if (!*message) co_return "end";
  co_return std::string((*message)->view());
}

TEST(Stream, GoesBothWaysAndHalfCloses) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    const auto stream = co_await f.open("Echo");
    for (const std::string text : {"a", "", "c"}) {
      EXPECT_TRUE(co_await stream->send(text));
      EXPECT_EQ(co_await next(*stream), text);
    }
    EXPECT_TRUE(co_await stream->close_send());
    EXPECT_EQ(co_await next(*stream), "end");
    EXPECT_EQ(co_await next(*stream), "end");
    EXPECT_EQ((co_await stream->send("x")).error().code(), Code::kFailedPrecondition);
    co_await f.finish();
  });
}

TEST(Stream, TakesTheFirstMessageWithTheRequest) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    const auto stream = co_await f.open("Join", with_first("1"));
    EXPECT_TRUE(co_await stream->send("2"));
    EXPECT_TRUE(co_await stream->close_send());
    EXPECT_EQ(co_await next(*stream), "[1][2]");
    EXPECT_EQ(co_await next(*stream), "end");
    co_await f.finish();
  });
}

TEST(Stream, ServesOneRequestWithManyAnswers) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    for (const std::string text : {"x", ""}) {
      const auto stream = co_await f.open("Repeat", with_only(text));
      for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await next(*stream), text);
      EXPECT_EQ(co_await next(*stream), "end");
      EXPECT_EQ((co_await stream->send("x")).error().code(), Code::kFailedPrecondition);
    }
    co_await f.finish();
  });
}

TEST(Stream, EndsWithTheHandlersStatus) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    const auto stream = co_await f.open("Fail", with_first("x"));
    EXPECT_EQ(co_await next(*stream), "error: no more");
    EXPECT_EQ((co_await stream->send("x")).error().code(), Code::kAborted);
    co_await f.finish();
  });
}

TEST(Stream, HoldsItsDeadlineOnBothSides) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    Client::StreamOptions options;
    options.call.timeout = milliseconds(5);
    const auto stream = co_await f.open("Echo", options);
    const auto message = co_await stream->receive();
    EXPECT_EQ(message.error().code(), Code::kDeadlineExceeded);
    while (f.server->active_calls() != 0) co_await sleep_for(milliseconds(1));
    co_await f.finish();
  });
}

TEST(Stream, FailsWhenTheConnectionIsLost) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    const auto stream = co_await f.open("Echo");
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      const auto message = co_await stream->receive();
      EXPECT_EQ(message.error().code(), Code::kUnavailable);
    });
    f.client->close();
    co_await scope.join();
    EXPECT_EQ((co_await stream->send("x")).error().code(), Code::kUnavailable);
    co_await f.finish();
  });
}

TEST(Stream, UsesTheFlagsOfTheProtocol) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    co_await f.peer->send(open_bytes(1, "Echo") + data_bytes(1, "a") + data_bytes(1, "") +
                          data_bytes(1, "", kNoData) + data_bytes(1, "", kClosed));
    const auto a = co_await f.peer->read();
    EXPECT_EQ(a->header.type, kData);
    EXPECT_EQ(a->header.flags, 0);
    EXPECT_EQ(a->payload, "a");
    const auto empty = co_await f.peer->read();
    EXPECT_EQ(empty->header.type, kData);
    EXPECT_EQ(empty->header.flags, 0);
    const auto end = co_await f.peer->read();
    EXPECT_EQ(end->header.type, kData);
    EXPECT_EQ(end->header.flags, kClosed);
    co_await f.finish();
  });
}

TEST(Stream, RefusesDataThatBreaksTheRulesOnce) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.max_payload = 100;
    Fixture f(executor, limits);
    co_await f.peer->send(open_bytes(1, "Slow") + data_bytes(1, "x", kRemoteClosed) +
                          data_bytes(1, "more"));
    co_await f.peer->expect(1, Code::kInvalidArgument, "data close message must not include data");
    co_await f.peer->send(open_bytes(3, "Slow") + data_bytes(3, "", kClosed) + data_bytes(3, "x"));
    co_await f.peer->expect(3, Code::kInvalidArgument, "data after the stream was closed");
    co_await f.peer->send(open_bytes(5, "Slow") + data_bytes(5, std::string(101, 'x')));
    co_await f.peer->expect(5, Code::kResourceExhausted,
                            "message length 101 exceeds maximum message size of 100");
    // The handlers end without a second answer.
    f.gate.set();
    while (f.server->active_calls() != 0) co_await sleep_for(milliseconds(1));
    co_await f.peer->send(request_bytes(7, "Echo", "alive"));
    co_await f.peer->expect(7, "alive");
    co_await f.finish();
  });
}

TEST(Stream, ASlowHandlerFailsItsOwnStreamOnly) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.stream_queue = 4;
    limits.stream_stall = milliseconds(5);
    Fixture f(executor, limits);
    std::string bytes = open_bytes(1, "Slow");
    for (int i = 0; i < 5; ++i) bytes += data_bytes(1, "x");
    co_await f.peer->send(bytes + request_bytes(3, "Echo", "alive"));
    co_await f.peer->expect(1, Code::kResourceExhausted, "stream buffer full");
    co_await f.peer->expect(3, "alive");
    f.gate.set();
    while (f.server->active_calls() != 0) co_await sleep_for(milliseconds(1));
    EXPECT_EQ(f.outcome, Code::kResourceExhausted);
    co_await f.finish();
  });
}

TEST(Stream, HoldsUpItsConnectionOnlyUntilTheHandlerTakes) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.stream_queue = 2;
    limits.stream_stall = std::chrono::hours(1);
    Fixture f(executor, limits);
    std::string bytes = open_bytes(1, "Slow");
    for (int i = 0; i < 3; ++i) bytes += data_bytes(1, "x");
    co_await f.peer->send(bytes + request_bytes(3, "Echo", "later"));
    f.gate.set();
    const auto end = co_await f.peer->read();
    EXPECT_EQ(end->header.flags, kClosed);
    co_await f.peer->expect(3, "later");
    co_await f.finish();
  });
}

TEST(Stream, ASlowClientFailsItsOwnStreamOnly) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Limits limits;
    limits.stream_queue = 2;
    limits.stream_stall = milliseconds(5);
    Client client(executor, std::move(pair.ours), limits);
    Peer server(executor, std::move(pair.theirs));
    const auto stream = co_await client.open_stream("s", "m", Client::StreamOptions());
    co_await server.read();
    co_await server.send(data_bytes(1, "a") + data_bytes(1, "b") + data_bytes(1, "c"));
    Scope scope(executor);
    scope.spawn([&]() -> Task<void> {
      const auto answer = co_await client.call("s", "m", "");
      EXPECT_EQ(answer->view(), "ok");
    });
    co_await server.read();
    co_await server.send(
        frame_bytes({.stream_id = 3, .type = kResponse}, response_prefix(2) + "ok"));
    co_await scope.join();
    EXPECT_EQ(co_await next(**stream), "error: stream buffer full");
  });
}

// A stream dropped while the client's reader waits for room in it.
TEST(Stream, MayBeDroppedWhileItHoldsUpTheReader) {
  run_void([](Executor executor) -> Task<void> {
    auto pair = socket_pair();
    Limits limits;
    limits.stream_queue = 1;
    limits.stream_stall = std::chrono::hours(1);
    Client client(executor, std::move(pair.ours), limits);
    Peer server(executor, std::move(pair.theirs));
    auto stream = co_await client.open_stream("s", "m", Client::StreamOptions());
    co_await server.read();
    co_await server.send(data_bytes(1, "a") + data_bytes(1, "b"));
    co_await sleep_for(milliseconds(5));
    stream->reset();
    const auto closed = co_await server.read();
    EXPECT_EQ(closed->header.flags, kClosed);
    server.close();
    co_await client.wait_closed();
  });
}

}  // namespace
}  // namespace coffer::rpc
