#include "shim/task/events.h"

#include <fmt/core.h>
#include <google/protobuf/message.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "rpc/protos/events_ttrpc.pb.h"
#include "rpc/ttrpc/client.h"

namespace coffer::shim {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{2000};
constexpr std::chrono::seconds kSendTimeout{5};
// Of one event that containerd refuses, as its own publisher has it.
constexpr int kMaxRefusals = 5;

Result<Fd> connect_unix(std::string_view address) {
  constexpr std::string_view kScheme = "unix://";
  if (address.starts_with(kScheme)) address.remove_prefix(kScheme.size());
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.size() >= sizeof(name.sun_path)) {
    return fail(Code::kInvalidArgument, fmt::format("connect to '{}': too long", address));
  }
  std::memcpy(static_cast<char*>(name.sun_path), address.data(), address.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno(errno, "make a Unix socket");
  // SAFETY: connect(2) takes any address family behind a sockaddr pointer.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0) {
    return fail_errno(errno, fmt::format("connect to '{}'", address));
  }
  return fd;
}

std::string envelope(std::string_view containerd_namespace, std::string_view topic,
                     const google::protobuf::Message& event) {
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  containerd::types::Envelope& envelope = *request.mutable_envelope();
  timeval now{};
  ::gettimeofday(&now, nullptr);
  envelope.mutable_timestamp()->set_seconds(now.tv_sec);
  envelope.mutable_timestamp()->set_nanos(static_cast<std::int32_t>(now.tv_usec * 1000));
  envelope.set_namespace_(std::string(containerd_namespace));
  envelope.set_topic(std::string(topic));
  // The bare name: containerd's registry knows no type.googleapis.com.
  envelope.mutable_event()->set_type_url(event.GetTypeName());
  event.SerializeToString(envelope.mutable_event()->mutable_value());
  return request.SerializeAsString();
}

}  // namespace

struct EventPublisher::Connection {
  std::optional<rpc::Client> client;
};

EventPublisher::EventPublisher(asio::any_io_executor executor, Options options)
    : options_(std::move(options)),
      connection_(std::make_unique<Connection>()),
      added_(executor),
      emptied_(executor),
      scope_(executor) {
  if (!options_.ttrpc_address.empty()) scope_.spawn(run());
}

EventPublisher::~EventPublisher() = default;

void EventPublisher::publish(std::string_view topic, const google::protobuf::Message& event) {
  options_.log.debug("event", {{"topic", topic}});
  if (options_.ttrpc_address.empty()) return;
  if (queue_.size() >= options_.capacity) {
    options_.log.warn("event dropped: the queue is full and containerd takes none",
                      {{"capacity", options_.capacity}});
    queue_.pop_front();
  }
  queue_.emplace_back(next_number_++, envelope(options_.containerd_namespace, topic, event));
  added_.wake_one();
}

Task<Status> EventPublisher::send(std::string bytes) {
  std::optional<rpc::Client>& client = connection_->client;
  if (client && client->closed()) client.reset();
  if (!client) {
    auto fd = connect_unix(options_.ttrpc_address);
    if (!fd) co_return fail(Code::kUnavailable, fd.error().to_string());
    client.emplace(scope_.executor(), *std::move(fd), rpc::Limits{}, options_.log);
  }
  rpc::CallOptions options;
  options.timeout = kSendTimeout;
  options.metadata = {{"containerd-namespace-ttrpc", options_.containerd_namespace}};
  Result<rpc::Payload> answer =
      co_await client->call("containerd.services.events.ttrpc.v1.Events", "Forward",
                            std::move(bytes), std::move(options));
  if (!answer) co_return std::unexpected(std::move(answer).error());
  co_return Status{};
}

Task<void> EventPublisher::run() {
  milliseconds pause = kFirstPause;
  int refusals = 0;
  for (;;) {
    while (queue_.empty()) {
      emptied_.wake_all();
      co_await added_.wait();
    }
    const std::uint64_t number = queue_.front().first;
    std::string bytes = queue_.front().second;
    const Status sent = co_await send(std::move(bytes));
    const bool reached = sent || (sent.error().code() != Code::kUnavailable &&
                                  sent.error().code() != Code::kDeadlineExceeded);
    if (!sent && reached) ++refusals;
    if (sent || refusals >= kMaxRefusals) {
      if (!sent) options_.log.warn("event refused by containerd", {{"error", sent.error()}});
      // It may have been dropped for room in the meantime.
      if (!queue_.empty() && queue_.front().first == number) queue_.pop_front();
      pause = kFirstPause;
      refusals = 0;
      continue;
    }
    if (!reached) connection_->client.reset();
    co_await sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

Task<bool> EventPublisher::flush(Deadline deadline) {
  while (!queue_.empty()) {
    const bool woken = co_await emptied_.wait(deadline);
    if (!woken) co_return queue_.empty();
  }
  co_return true;
}

Task<void> EventPublisher::close() {
  co_await scope_.close();
  connection_->client.reset();
}

}  // namespace coffer::shim
