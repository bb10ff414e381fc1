#include "rpc/ttrpc/connection.h"

#include <fmt/format.h>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "rpc/ttrpc/inbox.h"

namespace coffer::rpc {
namespace {

bool is_cancellation(const boost::system::system_error& error) {
  return error.code() == asio::error::operation_aborted;
}

// Runs a handler so that nothing leaves it but a result: its cancellation is kCancelled, any other
// exception a bug in it, which costs the call and not the process.
template <typename T>
Task<Result<T>> contain(Task<Result<T>> task) {
  Result<T> result = fail(Code::kCancelled, "context canceled");
  try {
    result = co_await std::move(task);
  } catch (const boost::system::system_error& error) {
    if (!is_cancellation(error)) result = fail(Code::kInternal, error.what());
  } catch (const std::exception& error) {
    result = fail(Code::kInternal, error.what());
  }
  co_return result;
}

// The same within the call's deadline.
template <typename T>
Task<Result<T>> contain_until(Task<Result<T>> task, Deadline deadline) {
  if (!deadline) {
    Result<T> result = co_await contain(std::move(task));
    co_return result;
  }
  Result<T> result = fail(Code::kCancelled, "context canceled");
  const auto store = [](Task<Result<T>> inner, Result<T>& out) -> Task<void> {
    out = co_await contain(std::move(inner));
  };
  co_await with_deadline(store(std::move(task), result), deadline);
  const bool late = std::chrono::steady_clock::now() >= *deadline;
  if (!result && result.error().code() == Code::kCancelled && late) {
    result = fail(Code::kDeadlineExceeded, "context deadline exceeded");
  }
  co_return result;
}

Deadline deadline_of(const Request& request) {
  const std::chrono::nanoseconds timeout(request.timeout_nanos);
  if (timeout.count() <= 0 || timeout > kLongestTimeout) return {};
  return deadline_in(timeout);
}

}  // namespace

class Connection::ServerStream : public Stream {
 public:
  ServerStream(Connection* connection, std::uint32_t id, Deadline deadline)
      : connection_(connection),
        id_(id),
        deadline_(deadline),
        inbox(connection->calls_.executor(), connection->limits_) {}

  Task<Result<std::optional<Payload>>> receive() override { return inbox.receive(deadline_); }

  Task<Status> send(std::string message) override {
    COFFER_CO_TRY_VOID(co_await connection_->channel_.wait_room(deadline_));
    if (send_closed) co_return fail(Code::kFailedPrecondition, "send message: stream is closed");
    co_return connection_->channel_.push({.stream_id = id_, .type = kData}, {}, std::move(message));
  }

  Task<Status> close_send() override {
    COFFER_CO_TRY_VOID(co_await connection_->channel_.wait_room(deadline_));
    if (std::exchange(send_closed, true)) co_return Status();
    co_return connection_->channel_.push(
        {.stream_id = id_, .type = kData, .flags = kRemoteClosed | kNoData}, {});
  }

  [[nodiscard]] std::uint32_t id() const { return id_; }

 private:
  Connection* connection_;  // outlives the handler, and so this
  std::uint32_t id_;
  Deadline deadline_;

 public:
  Inbox inbox;
  bool send_closed = false;  // nothing more may be sent, not even a Response
};

Connection::Connection(asio::any_io_executor executor, Fd fd, const Router& router,
                       const Limits& limits, Logger log, std::uint64_t id)
    : router_(router),
      limits_(limits),
      log_(std::move(log)),
      id_(id),
      channel_(executor, std::move(fd), limits),
      writer_(executor),
      calls_(executor) {}

Connection::~Connection() = default;

Task<Status> Connection::run() {
  writer_.spawn(channel_.write_loop());
  Status ended = fail(Code::kCancelled, "serve connection: server is shutting down");
  try {
    ended = co_await read_loop();
  } catch (const boost::system::system_error& error) {
    check(is_cancellation(error), error.what());
  }
  co_await ignore_cancellation();
  channel_.close(Error(ended.error()));
  for (const auto& [id, stream] : streams_) stream->inbox.end(ended.error());
  co_await calls_.close();
  co_await writer_.close();
  co_return ended;
}

Task<void> Connection::drain(Deadline deadline) {
  draining_ = true;
  if (deadline) co_await with_deadline(calls_.join(), deadline);
  co_await calls_.close();
  co_await channel_.flush(deadline ? deadline : deadline_in(limits_.stream_stall));
  channel_.close(Error(Code::kUnavailable, "serve connection: server is shutting down"));
}

Task<Status> Connection::read_loop() {
  while (true) {
    Result<Frame> frame = co_await channel_.read();
    if (!frame) co_return std::unexpected(std::move(frame).error());
    if (frame->header.type == kData) {
      co_await on_data(*std::move(frame));
    } else if (frame->header.type == kRequest) {
      on_request(*std::move(frame));
    }  // Others are ignored, as the protocol says.
    // A peer that sends but does not read is not read from either.
    if (!channel_.has_room()) COFFER_CO_TRY_VOID(co_await channel_.wait_room());
  }
}

void Connection::on_request(Frame frame) {
  const FrameHeader& header = frame.header;
  if (frame.oversized) {
    reply_error(header.stream_id, Code::kResourceExhausted,
                fmt::format("message length {} exceeds maximum message size of {}", header.length,
                            limits_.max_payload));
    return;
  }
  if (header.stream_id % 2 != 1) {
    reply_error(header.stream_id, Code::kInvalidArgument,
                "StreamID must be odd for client initiated streams");
    return;
  }
  if (header.stream_id <= last_stream_id_) {
    reply_error(header.stream_id, Code::kInvalidArgument,
                "StreamID cannot be re-used and must increment");
    return;
  }
  last_stream_id_ = header.stream_id;
  auto request = parse_request(std::move(frame.payload));
  if (!request) return reply(header.stream_id, std::unexpected(std::move(request).error()));
  const auto* method = router_.find(request->service, request->method);
  if (method == nullptr) {
    const bool known = router_.knows_service(request->service);
    reply_error(header.stream_id, Code::kUnimplemented,
                known ? fmt::format("method {}", request->method)
                      : fmt::format("service {}", request->service));
    return;
  }
  if (draining_) {
    return reply_error(header.stream_id, Code::kUnavailable, "server is shutting down");
  }
  if (calls_.running() >= limits_.max_calls ||
      call_bytes_ + request->payload.size() > limits_.max_call_bytes) {
    return reply_error(header.stream_id, Code::kResourceExhausted, "too many calls at once");
  }
  start(*method, *std::move(request), header);
}

void Connection::start(const Router::Method& method, Request request, const FrameHeader& header) {
  CallContext context{.service = std::move(request.service),
                      .method = std::move(request.method),
                      .metadata = std::move(request.metadata),
                      .deadline = deadline_of(request),
                      .stream_id = header.stream_id,
                      .connection_id = id_};
  if (method.unary) {
    calls_.spawn(run_unary(method.unary, std::move(context), std::move(request.payload)));
    return;
  }
  auto stream = std::make_shared<ServerStream>(this, header.stream_id, context.deadline);
  // Without remote-open the request is the only message, be it empty.
  const bool open = header.has(kRemoteOpen);
  if (!open || request.has_payload) stream->inbox.try_deliver(std::move(request.payload));
  if (!open) stream->inbox.end();
  streams_.emplace(header.stream_id, stream);
  calls_.spawn(run_stream(method.stream, std::move(context), std::move(stream)));
}

Task<void> Connection::run_unary(const UnaryHandler& handler, CallContext context,
                                 Payload payload) {
  const std::uint32_t stream_id = context.stream_id;
  const Deadline deadline = context.deadline;
  const std::size_t size = payload.size();
  call_bytes_ += size;
  Result<std::string> result =
      co_await contain_until(handler(std::move(context), std::move(payload)), deadline);
  call_bytes_ -= size;
  if (!channel_.has_room()) {
    const auto room = co_await channel_.wait_room();
    if (!room) co_return;
  }
  reply(stream_id, std::move(result));
}

Task<void> Connection::run_stream(const StreamHandler& handler, CallContext context,
                                  StreamPtr stream) {
  const Deadline deadline = context.deadline;
  Result<std::optional<std::string>> result =
      co_await contain_until(handler(std::move(context), *stream), deadline);
  streams_.erase(stream->id());
  stream->inbox.end();
  if (!channel_.has_room()) {
    const auto room = co_await channel_.wait_room();
    if (!room) co_return;
  }
  if (stream->send_closed) co_return;
  if (!result) {
    reply(stream->id(), std::unexpected(std::move(result).error()));
  } else if (*result) {
    reply(stream->id(), **std::move(result));
  } else {
    std::ignore = channel_.push(
        {.stream_id = stream->id(), .type = kData, .flags = kRemoteClosed | kNoData}, {});
  }
}

Task<void> Connection::on_data(Frame frame) {
  const auto found = streams_.find(frame.header.stream_id);
  if (found == streams_.end()) {
    reply_error(frame.header.stream_id, Code::kInvalidArgument, "StreamID is no longer active");
    co_return;
  }
  const StreamPtr stream = found->second;
  const bool closes = frame.header.has(kRemoteClosed);
  if (frame.oversized) {
    fail_stream(stream, Code::kResourceExhausted,
                fmt::format("message length {} exceeds maximum message size of {}",
                            frame.header.length, limits_.max_payload));
  } else if (closes && !frame.payload.empty()) {
    fail_stream(stream, Code::kInvalidArgument, "data close message must not include data");
  } else if (stream->inbox.ended()) {
    fail_stream(stream, Code::kInvalidArgument, "data after the stream was closed");
  } else if (closes) {
    stream->inbox.end();
  } else if (!frame.header.has(kNoData)) {
    const bool delivered = co_await stream->inbox.deliver(Payload(std::move(frame.payload)));
    // Undelivered because the handler has returned meanwhile is no failure.
    if (!delivered && !stream->inbox.ended()) {
      fail_stream(stream, Code::kResourceExhausted, "stream buffer full");
    }
  }
}

void Connection::reply_error(std::uint32_t stream_id, Code code, std::string_view message) {
  // Fits: messages of ours are short, those of handlers are cut in reply().
  std::ignore =
      channel_.push({.stream_id = stream_id, .type = kResponse}, error_response(code, message));
}

void Connection::reply(std::uint32_t stream_id, Result<std::string> result) {
  const FrameHeader header{.stream_id = stream_id, .type = kResponse};
  if (result) {
    std::string prefix = response_prefix(result->size());
    const Status sent = channel_.push(header, std::move(prefix), *std::move(result));
    if (!sent) reply_error(stream_id, sent.error().code(), sent.error().message());
    return;
  }
  std::string message = result.error().to_string();
  if (message.size() > kMaxErrorText) message.resize(kMaxErrorText);
  reply_error(stream_id, result.error().code(), message);
}

void Connection::fail_stream(const StreamPtr& stream, Code code, std::string_view message) {
  stream->inbox.end(Error(code, std::string(message)));
  if (std::exchange(stream->send_closed, true)) return;
  reply_error(stream->id(), code, message);
}

}  // namespace coffer::rpc
