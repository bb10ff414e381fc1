// The other end of a connection in tests: raw frames, well formed or not.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/loop.h"
#include "rpc/ttrpc/envelope.h"
#include "rpc/ttrpc/frame.h"

namespace coffer::rpc {

struct SocketPair {
  Fd ours;
  Fd theirs;
};

inline SocketPair socket_pair() {
  std::array<int, 2> ends{};
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0,
        "socketpair");
  return {.ours = Fd(ends[0]), .theirs = Fd(ends[1])};
}

inline std::string frame_bytes(FrameHeader header, const std::string& payload = {}) {
  header.length = static_cast<std::uint32_t>(payload.size());
  const auto bytes = encode_header(header);
  return std::string(bytes.data(), bytes.size()) + payload;
}

inline std::string request_bytes(std::uint32_t id, std::string_view method,
                                 const std::string& payload = {}, std::int64_t timeout = 0,
                                 std::string_view service = "test.Echo", std::uint8_t flags = 0) {
  const std::string prefix = request_prefix(
      {.service = service, .method = method, .timeout_nanos = timeout}, payload.size());
  return frame_bytes({.stream_id = id, .type = kRequest, .flags = flags}, prefix + payload);
}

class Peer {
 public:
  Peer(const asio::any_io_executor& executor, Fd fd)
      : descriptor_(executor, fd.release()), decoder_(std::uint32_t{64} << 20U) {}

  Task<void> send(std::string bytes) {
    co_await asio::async_write(descriptor_, asio::buffer(bytes), asio::use_awaitable);
  }
  // Empty at the end of the connection.
  Task<std::optional<Frame>> read() {
    while (true) {
      if (auto frame = decoder_.next()) co_return frame;
      const auto room = decoder_.buffer();
      const auto [error, count] = co_await descriptor_.async_read_some(
          asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
      if (error) co_return std::nullopt;
      decoder_.commit(count);
    }
  }
  struct Answer {
    std::uint32_t id = 0;
    Code code = Code::kOk;
    std::string text;  // the payload, or the message of an error
  };
  Task<Answer> answer() {
    auto frame = co_await read();
    if (!frame) co_return Answer{.id = 0, .code = Code::kUnavailable, .text = "closed"};
    check(frame->header.type == kResponse, "not a response");
    auto response = parse_response(std::move(frame->payload));
    check(response.has_value(), "bad response");
    if (response->error) {
      co_return Answer{.id = frame->header.stream_id,
                       .code = response->error->code(),
                       .text = response->error->message()};
    }
    co_return Answer{.id = frame->header.stream_id, .text = std::move(response->payload).str()};
  }
  // Views instead of values: gcc 12 miscompiles aggregates made within a co_await expression.
  Task<void> expect(std::uint32_t id, Code code, std::string_view text) {
    const Answer got = co_await answer();
    EXPECT_EQ(got.id, id);
    EXPECT_EQ(got.code, code) << got.text;
    EXPECT_EQ(got.text, text);
  }
  Task<void> expect(std::uint32_t id, std::string_view text) { return expect(id, Code::kOk, text); }
  void close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }
  [[nodiscard]] int fd() { return descriptor_.native_handle(); }

 private:
  asio::posix::stream_descriptor descriptor_;
  FrameDecoder decoder_;
};

}  // namespace coffer::rpc
