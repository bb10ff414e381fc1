// One connected descriptor as frames, both ways. Used by server and client, not by others.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/frame.h"

namespace coffer::rpc {

class Channel {
 public:
  // Sets O_NONBLOCK. A descriptor that cannot be polled gives a channel that is closed.
  Channel(asio::any_io_executor executor, Fd fd, const Limits& limits);

  // The next frame. kUnavailable when the peer has closed or the connection is broken, kDataLoss
  // when the bytes cannot be frames, kCancelled when the caller is being cancelled. One reader at a
  // time.
  Task<Result<Frame>> read();

  // Waits while more than Limits::max_queued_bytes are queued. kUnavailable once closed,
  // kDeadlineExceeded at the deadline.
  Task<Status> wait_room(Deadline deadline = {});
  [[nodiscard]] bool has_room() const { return queued_bytes_ <= limits_.max_queued_bytes; }
  // Queues a frame: `prefix` and `body` together are its payload. Does nothing once closed.
  // kResourceExhausted, and nothing queued, when the payload is longer than a frame may be.
  Status push(FrameHeader header, std::string prefix, std::string body = {});

  // Writes what is queued until the channel is closed; spawned by the owner, once.
  Task<void> write_loop();
  // Waits until all is written. False at the deadline or when closed before.
  Task<bool> flush(Deadline deadline);

  // The first reason stays.
  void close(Error reason);
  [[nodiscard]] bool closed() const { return reason_.has_value(); }
  // Only when closed.
  [[nodiscard]] const Error& reason() const { return *reason_; }

 private:
  struct Outgoing {
    std::string head;  // frame header and prefix
    std::string body;
  };

  Result<std::size_t> write_some();
  void consume(std::size_t count);

  Limits limits_;
  asio::posix::stream_descriptor descriptor_;
  bool socket_ = false;
  FrameDecoder decoder_;
  std::deque<Outgoing> queue_;
  std::size_t written_ = 0;  // of the first in the queue
  std::size_t queued_bytes_ = 0;
  WaitList work_;   // the writer
  WaitList room_;   // senders
  WaitList empty_;  // flush()
  std::optional<Error> reason_;
};

}  // namespace coffer::rpc
