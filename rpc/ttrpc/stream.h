// A streaming call, seen from either side. Sending and receiving are independent; each side has at
// most one coroutine in send() and one in receive() at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"

namespace coffer::rpc {

class Stream {
 public:
  virtual ~Stream() = default;
  // The peer's next message; empty when it has closed its side. An error ends the stream: its
  // status as the peer sent it, kUnavailable when the connection was lost, kResourceExhausted when
  // messages were not taken in time ("stream buffer full").
  [[nodiscard]] virtual Task<Result<std::optional<Payload>>> receive() = 0;
  // Waits while the connection's queue is full. kFailedPrecondition after our side was closed.
  [[nodiscard]] virtual Task<Status> send(std::string message) = 0;
  // Half-close: we send no more. Server handlers need not call it: their return closes.
  [[nodiscard]] virtual Task<Status> close_send() = 0;
};

}  // namespace coffer::rpc
