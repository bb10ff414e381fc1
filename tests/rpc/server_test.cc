#include "rpc/ttrpc/server.h"

#include <gtest/gtest.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <vector>

#include "tests/base/run_task.h"
#include "tests/rpc/peer.h"

namespace coffer::rpc {
namespace {

using Executor = asio::any_io_executor;
using std::chrono::milliseconds;
using Answer = Peer::Answer;
using Text = Result<std::string>;

// Notes that a handler's frame has gone.
struct Ended {
  int* count;
  ~Ended() { ++*count; }
};

// A server of service test.Echo and one raw connection to it.
class Fixture {
 public:
  explicit Fixture(Executor executor, Limits limits = {}) : gate(executor), executor_(executor) {
    Router router;
    router.add("test.Echo", "Echo", [](CallContext, Payload payload) -> Task<Text> {
      co_return std::move(payload).str();
    });
    router.add("test.Echo", "Context", [](CallContext context, Payload) -> Task<Text> {
      co_return context.service + "/" + context.method + " " + std::to_string(context.stream_id) +
          (context.deadline ? " deadline" : "");
    });
    router.add("test.Echo", "Fail", [](CallContext, Payload payload) -> Task<Text> {
      Error error(Code::kNotFound, std::string(payload.view()));
      error.add_context("look");
      co_return std::unexpected(std::move(error));
    });
    router.add("test.Echo", "Throw", [](CallContext, Payload) -> Task<Text> {
      throw std::runtime_error("thrown");
      co_return Text();
    });
    router.add("test.Echo", "Big", [](CallContext, Payload payload) -> Task<Text> {
      co_return std::string(std::stoul(std::string(payload.view())), 'b');
    });
    // Answers when the gate opens.
    router.add("test.Echo", "Wait", [this](CallContext, Payload payload) -> Task<Text> {
      ++waiting;
      const Ended ended{&waits_ended};
      co_await gate.wait();
      co_return std::move(payload).str();
    });
    server.emplace(executor, std::move(router), limits);
    auto pair = socket_pair();
    server->serve(std::move(pair.theirs));
    peer.emplace(executor, std::move(pair.ours));
  }

  // Ends the test: every coroutine of the server is gone afterwards.
  Task<void> finish() {
    peer->close();
    co_await server->shutdown();
    EXPECT_EQ(server->connections(), 0U);
    EXPECT_EQ(server->active_calls(), 0U);
  }

  Event gate;
  int waiting = 0;
  int waits_ended = 0;
  std::optional<Server> server;
  std::optional<Peer> peer;

 private:
  Executor executor_;
};

TEST(Server, AnswersAndTellsTheHandlerWhoCalled) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    co_await f.peer->send(request_bytes(1, "Echo", "hello"));
    co_await f.peer->expect(1, "hello");
    co_await f.peer->send(request_bytes(3, "Context", "", 1'000'000'000));
    co_await f.peer->expect(3, "test.Echo/Context 3 deadline");
    co_await f.finish();
  });
}

TEST(Server, AnswersInTheOrderOfCompletion) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    co_await f.peer->send(request_bytes(1, "Wait", "slow") + request_bytes(3, "Echo", "fast"));
    co_await f.peer->expect(3, "fast");
    f.gate.set();
    co_await f.peer->expect(1, "slow");
    co_await f.finish();
  });
}

TEST(Server, RefusesBadRequestsOnTheirStreamAndLivesOn) {
  struct Case {
    std::string bytes;
    Answer want;
  };
  const std::vector<Case> cases = {
      {request_bytes(2, "Echo"),
       {2, Code::kInvalidArgument, "StreamID must be odd for client initiated streams"}},
      {request_bytes(5, "Nope"), {5, Code::kUnimplemented, "method Nope"}},
      {request_bytes(5, "Echo"),
       {5, Code::kInvalidArgument, "StreamID cannot be re-used and must increment"}},
      {request_bytes(3, "Echo"),
       {3, Code::kInvalidArgument, "StreamID cannot be re-used and must increment"}},
      {request_bytes(7, "Echo", "", 0, "other.Service"),
       {7, Code::kUnimplemented, "service other.Service"}},
      {frame_bytes({.stream_id = 9, .type = kRequest}, "\xff"),
       {9, Code::kInvalidArgument, "parse ttrpc request: not a valid message"}},
      {frame_bytes({.stream_id = 4, .type = kData}, "x"),
       {4, Code::kInvalidArgument, "StreamID is no longer active"}},
      {request_bytes(11, "Fail", "it"), {11, Code::kNotFound, "look: it"}},
      {request_bytes(13, "Throw"), {13, Code::kInternal, "thrown"}},
      // Of a type that we do not know, and an answer to nothing: ignored.
      {frame_bytes({.stream_id = 15, .type = 77}, "x") +
           frame_bytes({.stream_id = 15, .type = kResponse}, "x") +
           request_bytes(15, "Echo", "alive"),
       {15, Code::kOk, "alive"}},
  };
  run_void([&](Executor executor) -> Task<void> {
    Fixture f(executor);
    for (const auto& c : cases) {
      co_await f.peer->send(c.bytes);
      co_await f.peer->expect(c.want.id, c.want.code, c.want.text);
    }
    co_await f.finish();
  });
}

TEST(Server, HoldsTheFrameLimitExactly) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.max_payload = 1000;
    Fixture f(executor, limits);
    const std::size_t overhead = request_bytes(1, "Echo", std::string(900, 'x')).size() - 910;
    co_await f.peer->send(request_bytes(1, "Echo", std::string(1000 - overhead, 'x')));
    // The answer's own envelope is smaller than the request's.
    EXPECT_EQ((co_await f.peer->answer()).code, Code::kOk);
    co_await f.peer->send(request_bytes(3, "Echo", std::string(1001 - overhead, 'x')) +
                          request_bytes(5, "Echo", "next"));
    co_await f.peer->expect(3, Code::kResourceExhausted,
                            "message length 1001 exceeds maximum message size of 1000");
    co_await f.peer->expect(5, "next");
    co_await f.peer->send(request_bytes(7, "Big", "996") + request_bytes(9, "Big", "995"));
    EXPECT_EQ((co_await f.peer->answer()).code, Code::kResourceExhausted);
    EXPECT_EQ((co_await f.peer->answer()).text.size(), 995U);
    co_await f.finish();
  });
}

TEST(Server, CancelsAHandlerAtItsDeadline) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    co_await f.peer->send(request_bytes(1, "Wait", "", 1'000'000));
    co_await f.peer->expect(1, Code::kDeadlineExceeded, "context deadline exceeded");
    EXPECT_EQ(f.waits_ended, 1);
    // Absurd timeouts are none.
    co_await f.peer->send(request_bytes(3, "Context", "", INT64_MAX) +
                          request_bytes(5, "Context", "", -1));
    EXPECT_EQ((co_await f.peer->answer()).text, "test.Echo/Context 3");
    EXPECT_EQ((co_await f.peer->answer()).text, "test.Echo/Context 5");
    co_await f.finish();
  });
}

TEST(Server, CancelsHandlersWhenTheConnectionIsLost) {
  for (const bool in_mid_frame : {false, true}) {
    run_void([&](Executor executor) -> Task<void> {
      Fixture f(executor);
      const std::string tail = in_mid_frame ? request_bytes(3, "Echo", "x").substr(0, 15) : "";
      co_await f.peer->send(request_bytes(1, "Wait") + tail);
      while (f.waiting == 0) co_await sleep_for(milliseconds(1));
      f.peer->close();
      while (f.server->connections() != 0) co_await sleep_for(milliseconds(1));
      EXPECT_EQ(f.waits_ended, 1);
      co_await f.finish();
    });
  }
}

TEST(Server, TellsWhyAConnectionEnded) {
  struct Case {
    std::string bytes;
    Code code;
    std::string text;
  };
  const std::vector<Case> cases = {
      {"", Code::kUnavailable, "read frame: connection closed by peer"},
      {"abc", Code::kUnavailable, "read frame: connection closed by peer in mid-frame"},
      {frame_bytes({.type = kRequest}, "abc").substr(0, 12), Code::kUnavailable,
       "read frame: connection closed by peer in mid-frame"},
  };
  run_void([&](Executor executor) -> Task<void> {
    Fixture f(executor);
    for (const auto& c : cases) {
      auto pair = socket_pair();
      Peer peer(executor, std::move(pair.ours));
      co_await peer.send(c.bytes);
      peer.close();
      const Status ended = co_await f.server->serve_until_closed(std::move(pair.theirs));
      EXPECT_EQ(ended.error().code(), c.code);
      EXPECT_EQ(ended.error().message(), c.text);
    }
    const Status unusable = co_await f.server->serve_until_closed(Fd());
    EXPECT_EQ(unusable.error().code(), Code::kUnavailable);
    co_await f.finish();
  });
}

TEST(Server, ClosesOnBytesThatNoPeerSends) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.max_payload = 100;
    Fixture f(executor, limits);
    auto pair = socket_pair();
    Peer peer(executor, std::move(pair.ours));
    co_await peer.send(frame_bytes({.type = 'x'}, std::string(101, 'x')));
    const Status ended = co_await f.server->serve_until_closed(std::move(pair.theirs));
    EXPECT_EQ(ended.error().code(), Code::kDataLoss);
    co_await f.finish();
  });
}

TEST(Server, ReadsWhatArrivesByteByByte) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    for (const char byte : request_bytes(1, "Echo", "hello")) {
      co_await f.peer->send(std::string(1, byte));
      co_await sleep_for(std::chrono::microseconds(10));
    }
    EXPECT_EQ((co_await f.peer->answer()).text, "hello");
    co_await f.finish();
  });
}

TEST(Server, HoldsItsLimitsOnConcurrentCalls) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.max_calls = 2;
    limits.max_call_bytes = 10;
    Fixture f(executor, limits);
    co_await f.peer->send(request_bytes(1, "Wait", "12345") + request_bytes(3, "Wait", "12345") +
                          request_bytes(5, "Echo"));
    co_await f.peer->expect(5, Code::kResourceExhausted, "too many calls at once");
    f.gate.set();
    co_await f.peer->answer();
    co_await f.peer->answer();
    co_await f.peer->send(request_bytes(7, "Wait", "12345678901"));
    EXPECT_EQ((co_await f.peer->answer()).code, Code::kResourceExhausted);
    co_await f.peer->send(request_bytes(9, "Wait", "1234567890"));
    EXPECT_EQ((co_await f.peer->answer()).code, Code::kOk);
    co_await f.finish();
  });
}

TEST(Server, StopsReadingFromAPeerThatDoesNotReadItsAnswers) {
  run_void([](Executor executor) -> Task<void> {
    Limits limits;
    limits.max_queued_bytes = 1 << 20;
    Fixture f(executor, limits);
    const int calls = 200;
    Scope scope(executor);
    int sent = 0;
    scope.spawn([&]() -> Task<void> {
      for (int i = 0; i < calls; ++i) {
        const auto id = static_cast<std::uint32_t>(2 * i + 1);
        co_await f.peer->send(request_bytes(id, "Echo", std::string(100000, 'x')));
        ++sent;
      }
    });
    // Until nothing moves any more: what the server has taken is bounded by its queue and the
    // socket.
    int last = -1;
    while (last != sent) {
      last = sent;
      co_await sleep_for(milliseconds(50));
    }
    EXPECT_LT(sent, 40);
    std::size_t bytes = 0;
    for (int i = 0; i < calls; ++i) bytes += (co_await f.peer->answer()).text.size();
    EXPECT_EQ(bytes, 100000U * calls);
    co_await scope.join();
    co_await f.finish();
  });
}

TEST(Server, ShutdownLetsCallsEndAndRefusesNewOnes) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    co_await f.peer->send(request_bytes(1, "Wait", "done"));
    while (f.waiting == 0) co_await sleep_for(milliseconds(1));
    Scope scope(executor);
    scope.spawn([&]() { return f.server->shutdown(deadline_in(std::chrono::hours(1))); });
    co_await sleep_for(milliseconds(1));
    co_await f.peer->send(request_bytes(3, "Echo"));
    co_await f.peer->expect(3, Code::kUnavailable, "server is shutting down");
    f.gate.set();
    co_await f.peer->expect(1, "done");
    EXPECT_FALSE((co_await f.peer->read()).has_value());
    co_await scope.join();
    co_await f.finish();
  });
}

TEST(Server, ShutdownCancelsWhatDoesNotEndInTime) {
  run_void([](Executor executor) -> Task<void> {
    Fixture f(executor);
    co_await f.peer->send(request_bytes(1, "Wait", "done"));
    while (f.waiting == 0) co_await sleep_for(milliseconds(1));
    co_await f.server->shutdown(deadline_in(milliseconds(1)));
    EXPECT_EQ(f.waits_ended, 1);
    EXPECT_EQ((co_await f.peer->answer()).code, Code::kCancelled);
    co_await f.finish();
  });
}

class ListenTest : public testing::Test {
 protected:
  ListenTest() {
    path_ = testing::TempDir() + "coffer-rpc-" + std::to_string(::getpid()) + ".sock";
    listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check(::bind(listener_.get(), address(), sizeof address_) == 0, "bind");
    check(::listen(listener_.get(), 10) == 0, "listen");
  }
  ~ListenTest() override { ::unlink(path_.c_str()); }

  sockaddr* address() {
    address_.sun_family = AF_UNIX;
    path_.copy(address_.sun_path, sizeof address_.sun_path - 1);
    return reinterpret_cast<sockaddr*>(&address_);
  }
  Fd connect() {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check(::connect(fd.get(), address(), sizeof address_) == 0, "connect");
    return fd;
  }

  std::string path_;
  sockaddr_un address_{};
  Fd listener_;
};

TEST_F(ListenTest, AcceptsPeersOfTheSameUser) {
  run_void([&](Executor executor) -> Task<void> {
    Fixture f(executor);
    f.server->listen(std::move(listener_), [](int fd) { return peer_is_same_user(fd); });
    Peer a(executor, connect());
    Peer b(executor, connect());
    co_await b.send(request_bytes(1, "Echo", "b"));
    co_await a.send(request_bytes(1, "Echo", "a"));
    EXPECT_EQ((co_await a.answer()).text, "a");
    EXPECT_EQ((co_await b.answer()).text, "b");
    co_await f.finish();
  });
}

TEST_F(ListenTest, TurnsAwayWhomItIsToldTo) {
  run_void([&](Executor executor) -> Task<void> {
    Fixture f(executor);
    f.server->listen(std::move(listener_), [](int) { return false; });
    Peer peer(executor, connect());
    EXPECT_FALSE((co_await peer.read()).has_value());
    co_await f.finish();
  });
}

TEST_F(ListenTest, HoldsItsLimitOnConnections) {
  run_void([&](Executor executor) -> Task<void> {
    Limits limits;
    limits.max_connections = 2;  // the fixture's own is one
    Fixture f(executor, limits);
    f.server->listen(std::move(listener_));
    Peer first(executor, connect());
    co_await first.send(request_bytes(1, "Echo", "x"));
    EXPECT_EQ((co_await first.answer()).text, "x");
    Peer second(executor, connect());
    EXPECT_FALSE((co_await second.read()).has_value());
    co_await f.finish();
  });
}

TEST(Router, ListsAndFinds) {
  Router router;
  const auto handler = [](CallContext, Payload) -> Task<Text> { co_return "x"; };
  router.add("b", "y", handler);
  router.add("b", "x", handler);
  router.add("a", "z", handler);
  using Names = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(router.list(), (Names{{"a", "z"}, {"b", "x"}, {"b", "y"}}));
  EXPECT_TRUE(router.knows("b", "x"));
  EXPECT_FALSE(router.knows("a", "x"));
  EXPECT_FALSE(router.knows_service("c"));
  EXPECT_DEATH(router.add("a", "z", handler), "added twice");
}

}  // namespace
}  // namespace coffer::rpc
