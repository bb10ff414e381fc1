// The receiving half of a stream, on either side: a bounded queue, and how it ended.
#pragma once

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"

namespace coffer::rpc {

class Inbox {
 public:
  Inbox(asio::any_io_executor executor, const Limits& limits)
      : queue_(std::move(executor), limits.stream_queue), stall_(limits.stream_stall) {}

  // False: not taken in time, or the stream has ended. The connection reads nothing meanwhile,
  // which is all the back-pressure that ttrpc has.
  Task<bool> deliver(Payload message) {
    if (queue_.try_push(message)) co_return true;
    const bool delivered = co_await queue_.push(std::move(message), deadline_in(stall_));
    co_return delivered;
  }
  // False: full or ended.
  bool try_deliver(Payload message) { return queue_.try_push(message); }
  // No more will come. What was delivered can still be received, unless an error is given.
  void end(std::optional<Error> error = {}) {
    if (queue_.closed()) return;
    error_ = std::move(error);
    queue_.close();
  }
  [[nodiscard]] bool ended() const { return queue_.closed(); }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  Task<Result<std::optional<Payload>>> receive(Deadline deadline) {
    if (error_) co_return std::unexpected(*error_);
    std::optional<Payload> message = co_await queue_.pop(deadline);
    if (error_) co_return std::unexpected(*error_);
    if (!message && !queue_.closed()) {
      co_return fail(Code::kDeadlineExceeded, "receive message: context deadline exceeded");
    }
    co_return message;
  }

 private:
  Queue<Payload> queue_;
  std::chrono::milliseconds stall_;
  std::optional<Error> error_;
};

}  // namespace coffer::rpc
