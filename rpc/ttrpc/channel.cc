#include "rpc/ttrpc/channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace coffer::rpc {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// Frames a writev takes at most: two pieces each, well below IOV_MAX (1024).
constexpr std::size_t kBatch = 64;

bool is_known(std::uint8_t type) { return type >= kRequest && type <= kData; }

iovec piece(std::string& text, std::size_t offset) {
  return {.iov_base = text.data() + offset, .iov_len = text.size() - offset};
}

}  // namespace

Channel::Channel(asio::any_io_executor executor, Fd fd, const Limits& limits)
    : limits_(limits),
      descriptor_(executor),
      decoder_(limits.max_payload),
      work_(executor),
      room_(executor),
      empty_(executor) {
  struct stat status{};
  socket_ = ::fstat(fd.get(), &status) == 0 && S_ISSOCK(status.st_mode);
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  boost::system::error_code error;
  descriptor_.assign(fd.get(), error);
  if (error) {
    reason_ = Error(Code::kUnavailable, fmt::format("use connection: {}", error.message()));
    return;
  }
  std::ignore = fd.release();
}

Task<Result<Frame>> Channel::read() {
  while (true) {
    if (auto frame = decoder_.next()) {
      // No peer sends such a thing: the stream has lost its place (a serial port whose other end
      // was exchanged), and there is nothing to find it again by.
      if (frame->oversized && !is_known(frame->header.type)) {
        co_return fail(Code::kDataLoss, "read frame: not a ttrpc header");
      }
      co_return *std::move(frame);
    }
    if (closed()) co_return std::unexpected(*reason_);
    const auto room = decoder_.buffer();
    const auto [error, count] =
        co_await descriptor_.async_read_some(asio::buffer(room.data(), room.size()), kTuple);
    if (closed()) co_return std::unexpected(*reason_);
    if (error == asio::error::operation_aborted) co_return fail(Code::kCancelled, "read frame");
    if (error == asio::error::eof) {
      co_return fail(Code::kUnavailable, decoder_.in_frame()
                                             ? "read frame: connection closed by peer in mid-frame"
                                             : "read frame: connection closed by peer");
    }
    if (error) {
      co_return fail(Code::kUnavailable, fmt::format("read frame: {}", error.message()));
    }
    decoder_.commit(count);
  }
}

Task<Status> Channel::wait_room(Deadline deadline) {
  while (!closed() && !has_room()) {
    const bool woken = co_await room_.wait(deadline);
    if (!woken) co_return fail(Code::kDeadlineExceeded, "write frame: the peer does not read");
  }
  if (closed()) co_return std::unexpected(*reason_);
  co_return Status();
}

Status Channel::push(FrameHeader header, std::string prefix, std::string body) {
  const std::size_t size = prefix.size() + body.size();
  if (size > limits_.max_payload) {
    return fail(Code::kResourceExhausted,
                fmt::format("write frame: message length {} exceeds maximum message size of {}",
                            size, limits_.max_payload));
  }
  if (closed()) return {};
  header.length = static_cast<std::uint32_t>(size);
  const auto bytes = encode_header(header);
  prefix.insert(0, bytes.data(), bytes.size());
  queued_bytes_ += prefix.size() + body.size();
  queue_.push_back({.head = std::move(prefix), .body = std::move(body)});
  work_.wake_one();
  return {};
}

// Zero: the descriptor takes nothing now.
Result<std::size_t> Channel::write_some() {
  std::array<iovec, 2 * kBatch> pieces{};
  std::size_t count = 0;
  std::size_t skip = written_;
  for (std::size_t i = 0; i < queue_.size() && i < kBatch; ++i) {
    for (std::string* text : {&queue_[i].head, &queue_[i].body}) {
      const std::size_t skipped = std::min(skip, text->size());
      skip -= skipped;
      if (skipped < text->size()) pieces[count++] = piece(*text, skipped);
    }
  }
  ssize_t written = 0;
  do {
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    written = socket_
                  ? ::sendmsg(descriptor_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT)
                  : ::writev(descriptor_.native_handle(), pieces.data(), static_cast<int>(count));
  } while (written < 0 && errno == EINTR);
  if (written >= 0) return static_cast<std::size_t>(written);
  if (errno == EAGAIN) return 0;
  return fail(Code::kUnavailable, errno_error(errno, "write frame").message());
}

void Channel::consume(std::size_t count) {
  queued_bytes_ -= count;
  count += written_;
  while (!queue_.empty() && count >= queue_.front().head.size() + queue_.front().body.size()) {
    count -= queue_.front().head.size() + queue_.front().body.size();
    queue_.pop_front();
  }
  written_ = count;
  if (has_room()) room_.wake_all();
  if (queue_.empty()) empty_.wake_all();
}

Task<void> Channel::write_loop() {
  while (!closed()) {
    if (queue_.empty()) {
      co_await work_.wait();
      continue;
    }
    auto written = write_some();
    if (!written) {
      close(std::move(written).error());
    } else if (*written > 0) {
      consume(*written);
    } else {
      co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_write, kTuple);
    }
  }
}

Task<bool> Channel::flush(Deadline deadline) {
  while (!closed() && !queue_.empty()) {
    const bool woken = co_await empty_.wait(deadline);
    if (!woken) co_return false;
  }
  co_return queue_.empty();
}

void Channel::close(Error reason) {
  if (closed()) return;
  reason_ = std::move(reason);
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  queue_.clear();
  queued_bytes_ = 0;
  written_ = 0;
  work_.wake_all();
  room_.wake_all();
  empty_.wake_all();
}

}  // namespace coffer::rpc
