// ttrpc beside a bare socketpair, in one run: what the protocol and the event loop cost.
//
// Client and server share a thread and a loop, as the bare ping-pong has both ends in one thread,
// so that no scheduler is measured.

#include <benchmark/benchmark.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/server.h"

namespace coffer::rpc {
namespace {

struct SocketPair {
  Fd a;
  Fd b;
};

SocketPair socket_pair(int type = 0) {
  std::array<int, 2> ends{};
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | type, 0, ends.data()) == 0,
        "socketpair");
  return {.a = Fd(ends[0]), .b = Fd(ends[1])};
}

void move_bytes(int from, int to, std::string& buffer, std::size_t size) {
  std::size_t sent = 0;
  std::size_t received = 0;
  while (received < size) {
    if (sent < size) {
      const ssize_t count = ::send(from, buffer.data() + sent, size - sent, MSG_DONTWAIT);
      if (count > 0) sent += static_cast<std::size_t>(count);
    }
    const ssize_t count = ::read(to, buffer.data(), std::min(buffer.size(), size - received));
    if (count > 0) received += static_cast<std::size_t>(count);
  }
}

// One request and one answer of the same size, by send and read alone.
void bare_ping_pong(benchmark::State& state) {
  const SocketPair pair = socket_pair();
  const auto size = static_cast<std::size_t>(state.range(0));
  std::string buffer(size, 'x');
  for (auto _ : state) {
    move_bytes(pair.a.get(), pair.b.get(), buffer, size);
    move_bytes(pair.b.get(), pair.a.get(), buffer, size);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * 2);
}

class Loop {
 public:
  Loop() {
    Router router;
    router.add("bench.Echo", "Echo", [](CallContext, Payload payload) -> Task<Result<std::string>> {
      co_return std::move(payload).str();
    });
    server_.emplace(context_.get_executor(), std::move(router));
    SocketPair pair = socket_pair();
    server_->serve(std::move(pair.a));
    client_.emplace(context_.get_executor(), std::move(pair.b));
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    client_->close();
    context_.run();
  }

  // `calls` at once, each of `size` bytes and back.
  void round(int calls, std::size_t size) {
    Scope scope(context_.get_executor());
    int done = 0;
    for (int i = 0; i < calls; ++i) {
      scope.spawn([&]() -> Task<void> {
        const auto answer = co_await client_->call("bench.Echo", "Echo", std::string(size, 'x'));
        check(answer.has_value() && answer->size() == size, "echo");
        ++done;
      });
    }
    while (done < calls) context_.run_one();
  }

 private:
  asio::io_context context_{1};
  std::optional<Server> server_;
  std::optional<Client> client_;
};

void ttrpc_ping_pong(benchmark::State& state) {
  Loop loop;
  for (auto _ : state) loop.round(1, static_cast<std::size_t>(state.range(0)));
  state.SetBytesProcessed(state.iterations() * state.range(0) * 2);
}

void ttrpc_many_calls(benchmark::State& state) {
  Loop loop;
  const int calls = static_cast<int>(state.range(0));
  for (auto _ : state) loop.round(calls, 100);
  state.SetItemsProcessed(state.iterations() * calls);
}

BENCHMARK(bare_ping_pong)->Arg(100)->Arg(32 << 10)->Arg(1 << 20)->Arg((4 << 20) - 1000);
BENCHMARK(ttrpc_ping_pong)->Arg(100)->Arg(32 << 10)->Arg(1 << 20)->Arg((4 << 20) - 1000);
BENCHMARK(ttrpc_many_calls)->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace coffer::rpc

BENCHMARK_MAIN();
