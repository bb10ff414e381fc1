// A ttrpc server, and a client, that are sent arbitrary bytes.

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/envelope.h"
#include "rpc/ttrpc/frame.h"
#include "rpc/ttrpc/server.h"

namespace {

using namespace coffer;       // NOLINT(google-build-using-namespace): a program of its own
using namespace coffer::rpc;  // NOLINT(google-build-using-namespace)

// Small, so that short inputs reach every limit.
constexpr std::uint32_t kMax = 256;

Limits small_limits() {
  Limits limits;
  limits.max_payload = kMax;
  limits.max_calls = 8;
  limits.max_call_bytes = 1024;
  limits.stream_queue = 2;
  limits.stream_stall = std::chrono::milliseconds(0);
  return limits;
}

std::vector<Frame> decode(std::string_view bytes, std::size_t step) {
  FrameDecoder decoder(kMax, 32);
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    const auto room = decoder.buffer();
    const std::size_t count = std::min({step, room.size(), bytes.size()});
    std::copy_n(bytes.data(), count, room.data());
    decoder.commit(count);
    bytes.remove_prefix(count);
    while (auto frame = decoder.next()) frames.push_back(*std::move(frame));
  }
  return frames;
}

// The same frames, however the bytes arrive.
void check_decoder(std::string_view bytes) {
  const auto whole = decode(bytes, bytes.size() + 1);
  const auto single = decode(bytes, 1);
  check(whole.size() == single.size(), "frames depend on how the bytes arrive");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    check(whole[i].header == single[i].header && whole[i].payload == single[i].payload,
          "a frame depends on how the bytes arrive");
    check(whole[i].payload.size() <= kMax, "a payload is longer than allowed");
    std::ignore = parse_request(whole[i].payload);
    std::ignore = parse_response(whole[i].payload);
  }
}

Router make_router() {
  Router router;
  router.add("s", "e", [](CallContext, Payload payload) -> Task<Result<std::string>> {
    co_return std::move(payload).str();
  });
  router.add("s", "w", [](CallContext, Payload) -> Task<Result<std::string>> {
    co_await sleep_for(std::chrono::hours(1));
    co_return std::string();
  });
  router.add_stream("s", "s",
                    [](CallContext, Stream& stream) -> Task<Result<std::optional<std::string>>> {
                      while (true) {
                        COFFER_CO_TRY(auto message, co_await stream.receive());
                        if (!message) co_return std::nullopt;
                        COFFER_CO_TRY_VOID(co_await stream.send(std::move(*message).str()));
                      }
                    });
  return router;
}

struct Pair {
  Fd ours;
  Fd theirs;
};

// A socket that holds `bytes` and then its end.
Pair filled_pair(std::string_view bytes) {
  std::array<int, 2> ends{};
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0,
        "socketpair");
  Pair pair{.ours = Fd(ends[0]), .theirs = Fd(ends[1])};
  std::ignore = ::send(pair.ours.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::shutdown(pair.ours.get(), SHUT_WR);
  return pair;
}

Task<void> serve(Server& server, Fd fd) {
  std::ignore = co_await server.serve_until_closed(std::move(fd));
}

Task<void> call(Client& client) {
  const Client::StreamOptions options;
  auto stream = co_await client.open_stream("s", "s", options);
  std::ignore = co_await client.call("s", "e", "x");
  if (stream) std::ignore = co_await (*stream)->receive();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data),
                               std::min<std::size_t>(size, 16384));
  check_decoder(bytes);

  asio::io_context context(1);
  Server server(context.get_executor(), make_router(), small_limits());
  Pair to_server = filled_pair(bytes);
  asio::co_spawn(context, serve(server, std::move(to_server.theirs)), asio::detached);
  Pair to_client = filled_pair(bytes);
  Client client(context.get_executor(), std::move(to_client.theirs), small_limits());
  asio::co_spawn(context, call(client), asio::detached);
  context.run();
  check(server.connections() == 0 && server.active_calls() == 0, "the server has not ended");
  check(client.closed(), "the client has not ended");
  return 0;
}
