// Events for containerd: in order, kept while containerd is down, delivered when it is back.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"

namespace google::protobuf {
class Message;
}

namespace coffer::shim {

class EventPublisher {
 public:
  struct Options {
    std::string ttrpc_address;  // TTRPC_ADDRESS: a socket path. "": events are logged only (CRI-O)
    std::string containerd_namespace;
    std::size_t capacity = 2048;
    Logger log;
  };

  EventPublisher(asio::any_io_executor executor, Options options);
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;
  ~EventPublisher();

  // Stamps the event with the present time and queues it. When the queue is full, the oldest event
  // is dropped and that is logged. `event` is a message of containerd.events.
  void publish(std::string_view topic, const google::protobuf::Message& event);

  // False: events were left at the deadline.
  Task<bool> flush(Deadline deadline);
  // Stops sending; what is queued is gone. Await before destruction.
  Task<void> close();

  [[nodiscard]] std::size_t queued() const { return queue_.size(); }

 private:
  Task<void> run();
  Task<Status> send(std::string bytes);

  Options options_;
  struct Connection;
  std::unique_ptr<Connection> connection_;
  std::deque<std::pair<std::uint64_t, std::string>> queue_;  // number, serialized ForwardRequest
  std::uint64_t next_number_ = 0;
  WaitList added_;
  WaitList emptied_;
  Scope scope_;
};

}  // namespace coffer::shim
