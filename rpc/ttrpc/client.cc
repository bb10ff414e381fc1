#include "rpc/ttrpc/client.h"

#include <fmt/format.h>

#include <boost/system/system_error.hpp>
#include <limits>
#include <unordered_map>
#include <utility>

#include "rpc/ttrpc/channel.h"
#include "rpc/ttrpc/envelope.h"
#include "rpc/ttrpc/inbox.h"

namespace coffer::rpc {
namespace {

Deadline deadline_of(const CallOptions& options) {
  if (options.timeout.count() <= 0 || options.timeout > kLongestTimeout) return {};
  return deadline_in(options.timeout);
}

// What the server is told: the time that is left, at least a nanosecond, since 0 means none.
std::int64_t remaining(Deadline deadline) {
  if (!deadline) return 0;
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
      *deadline - std::chrono::steady_clock::now());
  return std::max<std::int64_t>(left.count(), 1);
}

Error deadline_exceeded(std::string_view service, std::string_view method) {
  return {Code::kDeadlineExceeded,
          fmt::format("call {}/{}: context deadline exceeded", service, method)};
}

Result<Response> response_of(Frame frame, std::uint32_t max_payload) {
  if (frame.oversized) {
    return fail(Code::kResourceExhausted,
                fmt::format("message length {} exceeds maximum message size of {}",
                            frame.header.length, max_payload));
  }
  return parse_response(std::move(frame.payload));
}

}  // namespace

class Client::Impl : public std::enable_shared_from_this<Client::Impl> {
 public:
  Impl(const asio::any_io_executor& executor, Fd fd, const Limits& limits, Logger log)
      : limits_(limits),
        log_(std::move(log)),
        executor_(executor),
        channel_(executor, std::move(fd), limits),
        closed_(executor),
        running_(executor) {}

  void start() {
    const auto self = shared_from_this();
    running_.spawn([self]() { return self->channel_.write_loop(); });
    running_.spawn([self]() { return self->read_loop(); });
  }

  static Task<Result<Payload>> call(std::shared_ptr<Impl> self, std::string service,
                                    std::string method, std::string payload, CallOptions options);
  static Task<Result<std::unique_ptr<Stream>>> open_stream(std::shared_ptr<Impl> self,
                                                           std::string service, std::string method,
                                                           StreamOptions options);

  void close(Error reason);
  [[nodiscard]] bool closed() const { return channel_.closed(); }
  Task<void> wait_closed() { co_await closed_.wait(); }

 private:
  // A unary call that waits for its answer.
  struct Pending {
    explicit Pending(const asio::any_io_executor& executor) : answer(executor) {}
    Event answer;
    std::optional<Result<Payload>> result;
    void finish(Result<Payload> value) {
      result.emplace(std::move(value));
      answer.set();
    }
  };
  class ClientStream;
  struct PendingEntry;

  Task<void> read_loop();
  void on_response(Frame frame);
  Task<void> on_data(Frame frame);
  [[nodiscard]] Result<std::uint32_t> next_id();

  Limits limits_;
  Logger log_;
  asio::any_io_executor executor_;
  std::uint64_t last_id_ = 0;
  bool first_ = true;
  Channel channel_;
  Event closed_;
  // The callers own what these point to, and take it out when they go.
  std::unordered_map<std::uint32_t, Pending*> pending_;
  // Shared with the streams: one that is dropped may have the reader in deliver().
  std::unordered_map<std::uint32_t, std::shared_ptr<Inbox>> streams_;
  Scope running_;
};

struct Client::Impl::PendingEntry {
  PendingEntry(Impl& client, std::uint32_t stream_id, Pending& pending)
      : impl(client), id(stream_id) {
    impl.pending_.emplace(id, &pending);
  }
  PendingEntry(const PendingEntry&) = delete;
  PendingEntry& operator=(const PendingEntry&) = delete;
  ~PendingEntry() { impl.pending_.erase(id); }
  Impl& impl;
  std::uint32_t id;
};

class Client::Impl::ClientStream : public Stream {
 public:
  ClientStream(std::shared_ptr<Impl> impl, std::uint32_t id, Deadline deadline)
      : impl_(std::move(impl)),
        id_(id),
        deadline_(deadline),
        inbox_(std::make_shared<Inbox>(impl_->executor_, impl_->limits_)) {
    impl_->streams_.emplace(id_, inbox_);
  }
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;
  ~ClientStream() override {
    impl_->streams_.erase(id_);
    // The protocol has no cancellation: the server learns at least that no more will come.
    if (!send_closed_ && !inbox_->ended()) push_close();
    inbox_->end();
  }

  Task<Result<std::optional<Payload>>> receive() override { return inbox_->receive(deadline_); }

  Task<Status> send(std::string message) override {
    COFFER_CO_TRY_VOID(co_await impl_->channel_.wait_room(deadline_));
    if (send_closed_) co_return fail(Code::kFailedPrecondition, "send message: stream is closed");
    if (inbox_->error()) co_return std::unexpected(*inbox_->error());
    if (inbox_->ended()) co_return fail(Code::kFailedPrecondition, "send message: call has ended");
    co_return impl_->channel_.push({.stream_id = id_, .type = kData}, {}, std::move(message));
  }

  Task<Status> close_send() override {
    COFFER_CO_TRY_VOID(co_await impl_->channel_.wait_room(deadline_));
    if (!send_closed_) push_close();
    co_return Status();
  }

  void mark_send_closed() { send_closed_ = true; }

 private:
  void push_close() {
    send_closed_ = true;
    std::ignore = impl_->channel_.push(
        {.stream_id = id_, .type = kData, .flags = kRemoteClosed | kNoData}, {});
  }

  std::shared_ptr<Impl> impl_;  // shared: a stream may outlive the Client
  std::uint32_t id_;
  Deadline deadline_;
  std::shared_ptr<Inbox> inbox_;
  bool send_closed_ = false;
};

// Odd, increasing, never used again.
Result<std::uint32_t> Client::Impl::next_id() {
  last_id_ = std::exchange(first_, false) ? 1 : last_id_ + 2;
  if (last_id_ > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Code::kUnavailable, "call: this connection's stream ids are used up");
  }
  return static_cast<std::uint32_t>(last_id_);
}

Task<Result<Payload>> Client::Impl::call(std::shared_ptr<Impl> self, std::string service,
                                         std::string method, std::string payload,
                                         CallOptions options) {
  const Deadline deadline = deadline_of(options);
  COFFER_CO_TRY_VOID(co_await self->channel_.wait_room(deadline));
  // From the id to the queue nothing suspends: ids go out in order.
  std::string prefix = request_prefix({.service = service,
                                       .method = method,
                                       .timeout_nanos = remaining(deadline),
                                       .metadata = &options.metadata},
                                      payload.size());
  COFFER_CO_TRY(const std::uint32_t id, self->next_id());
  Pending pending(self->executor_);
  const PendingEntry entry(*self, id, pending);
  COFFER_CO_TRY_VOID(self->channel_.push({.stream_id = id, .type = kRequest}, std::move(prefix),
                                         std::move(payload)));
  const bool answered = co_await pending.answer.wait(deadline);
  if (!answered) co_return std::unexpected(deadline_exceeded(service, method));
  co_return *std::move(pending.result);
}

Task<Result<std::unique_ptr<Stream>>> Client::Impl::open_stream(std::shared_ptr<Impl> self,
                                                                std::string service,
                                                                std::string method,
                                                                StreamOptions options) {
  const Deadline deadline = deadline_of(options.call);
  COFFER_CO_TRY_VOID(co_await self->channel_.wait_room(deadline));
  std::optional<std::size_t> size;
  if (options.first) size = options.first->size();
  std::string prefix = request_prefix({.service = service,
                                       .method = method,
                                       .timeout_nanos = remaining(deadline),
                                       .metadata = &options.call.metadata},
                                      size);
  COFFER_CO_TRY(const std::uint32_t id, self->next_id());
  auto stream = std::make_unique<ClientStream>(self, id, deadline);
  if (!options.client_streams) stream->mark_send_closed();
  const std::uint8_t flags = options.client_streams ? kRemoteOpen : kRemoteClosed;
  Status sent = self->channel_.push({.stream_id = id, .type = kRequest, .flags = flags},
                                    std::move(prefix), std::move(options.first).value_or(""));
  if (!sent) {
    stream->mark_send_closed();
    co_return std::unexpected(std::move(sent).error());
  }
  co_return std::unique_ptr<Stream>(std::move(stream));
}

Task<void> Client::Impl::read_loop() {
  while (true) {
    Result<Frame> frame = co_await channel_.read();
    if (!frame) {
      close(std::move(frame).error());
      co_return;
    }
    if (frame->header.type == kResponse) {
      on_response(*std::move(frame));
    } else if (frame->header.type == kData) {
      co_await on_data(*std::move(frame));
    }
  }
}

void Client::Impl::on_response(Frame frame) {
  const std::uint32_t id = frame.header.stream_id;
  const auto call = pending_.find(id);
  const auto stream = streams_.find(id);
  if (call == pending_.end() && stream == streams_.end()) {
    log_.debug("ttrpc answer to no call dropped", {{"stream", id}});
    return;
  }
  auto response = response_of(std::move(frame), limits_.max_payload);
  std::optional<Error> error;
  if (!response) {
    error = std::move(response).error();
  } else {
    error = std::move(response->error);
  }
  if (call != pending_.end()) {
    call->second->finish(error ? Result<Payload>(std::unexpected(*std::move(error)))
                               : Result<Payload>(std::move(response->payload)));
    return;
  }
  // The single reply of a client-streaming call is its last message.
  if (!error && !stream->second->try_deliver(std::move(response->payload))) {
    error = Error(Code::kResourceExhausted, "receive message: stream buffer full");
  }
  stream->second->end(std::move(error));
}

Task<void> Client::Impl::on_data(Frame frame) {
  const std::uint32_t id = frame.header.stream_id;
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second->ended()) {
    log_.debug("ttrpc data for no stream dropped", {{"stream", id}});
    co_return;
  }
  const auto inbox = found->second;
  if (frame.oversized) {
    inbox->end(Error(Code::kResourceExhausted,
                     fmt::format("message length {} exceeds maximum message size of {}",
                                 frame.header.length, limits_.max_payload)));
    co_return;
  }
  const bool closes = frame.header.has(kRemoteClosed);
  if (!frame.header.has(kNoData) && !(closes && frame.payload.empty())) {
    const bool delivered = co_await inbox->deliver(Payload(std::move(frame.payload)));
    if (!delivered) inbox->end(Error(Code::kResourceExhausted, "stream buffer full"));
  }
  if (closes) inbox->end();
}

void Client::Impl::close(Error reason) {
  if (reason.code() != Code::kUnavailable) {
    reason = Error(Code::kUnavailable, reason.to_string());
  }
  channel_.close(reason);
  const Error& why = channel_.reason();
  for (const auto& [id, pending] : pending_) {
    if (!pending->result) pending->finish(std::unexpected(why));
  }
  for (const auto& [id, inbox] : streams_) inbox->end(why);
  closed_.set();
}

Client::Client(asio::any_io_executor executor, Fd connected, Limits limits, Logger log)
    : impl_(std::make_shared<Impl>(executor, std::move(connected), limits, std::move(log))) {
  impl_->start();
}

Client::~Client() { close(); }

Task<Result<Payload>> Client::call(std::string_view service, std::string_view method,
                                   std::string payload, CallOptions options) {
  return Impl::call(impl_, std::string(service), std::string(method), std::move(payload),
                    std::move(options));
}

Task<Result<std::unique_ptr<Stream>>> Client::open_stream(std::string_view service,
                                                          std::string_view method,
                                                          StreamOptions options) {
  return Impl::open_stream(impl_, std::string(service), std::string(method), std::move(options));
}

bool Client::closed() const { return impl_->closed(); }

Task<void> Client::wait_closed() {
  const auto impl = impl_;
  co_await impl->wait_closed();
}

void Client::close() { impl_->close(Error(Code::kUnavailable, "connection closed by us")); }

}  // namespace coffer::rpc
