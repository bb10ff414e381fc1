// containerd's events endpoint, on a socket of the test's own.
#pragma once

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "rpc/protos/events.pb.h"
#include "rpc/protos/events_ttrpc.pb.h"
#include "rpc/ttrpc/server.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::shim::testing {

class FakeContainerd {
 public:
  using Request = containerd::services::events::ttrpc::v1::ForwardRequest;
  using Empty = google::protobuf::Empty;

  FakeContainerd(asio::any_io_executor executor, std::string path)
      : executor_(executor), path_(std::move(path)), received_(executor) {
    rpc::add<Request, Empty>(router_, "containerd.services.events.ttrpc.v1.Events", "Forward",
                             [this](rpc::CallContext, Request request) -> Task<Result<Empty>> {
                               if (refusals > 0) {
                                 --refusals;
                                 co_return fail(Code::kInvalidArgument, "refused");
                               }
                               note(request.envelope());
                               co_return Empty();
                             });
  }

  void up() {
    ::unlink(path_.c_str());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(static_cast<char*>(name.sun_path), path_.data(), path_.size());
    check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 &&
              ::listen(fd.get(), 8) == 0,
          "listen failed");
    server_ = std::make_unique<rpc::Server>(executor_, router_);
    server_->listen(std::move(fd));
  }
  void down() {
    server_.reset();
    ::unlink(path_.c_str());
  }
  // Waits until `count` events have come.
  Task<void> wait_for(std::size_t count) {
    while (events.size() < count) co_await received_.wait();
  }

  // "/tasks/exit c1 c1 7": the topic, and what tells the event apart.
  std::vector<std::string> events;
  std::vector<containerd::types::Envelope> envelopes;
  int refusals = 0;

 private:
  void note(const containerd::types::Envelope& envelope) {
    namespace e = containerd::events;
    std::string text = envelope.topic();
    const std::string& bytes = envelope.event().value();
    const std::string& type = envelope.event().type_url();
    if (type == "containerd.events.TaskExit") {
      e::TaskExit event;
      check(event.ParseFromString(bytes), "bad event");
      text += fmt::format(" {} {} {}", event.container_id(), event.id(), event.exit_status());
    } else if (type == "containerd.events.TaskExecAdded") {
      e::TaskExecAdded event;
      check(event.ParseFromString(bytes), "bad event");
      text += fmt::format(" {} {}", event.container_id(), event.exec_id());
    } else if (type == "containerd.events.TaskExecStarted") {
      e::TaskExecStarted event;
      check(event.ParseFromString(bytes), "bad event");
      text += fmt::format(" {} {}", event.container_id(), event.exec_id());
    } else {
      // The others begin with the container's id.
      e::TaskOOM event;
      if (event.ParseFromString(bytes)) text += " " + event.container_id();
    }
    events.push_back(text);
    envelopes.push_back(envelope);
    received_.wake_all();
  }

  asio::any_io_executor executor_;
  std::string path_;
  rpc::Router router_;
  std::unique_ptr<rpc::Server> server_;
  WaitList received_;
};

}  // namespace coffer::shim::testing
