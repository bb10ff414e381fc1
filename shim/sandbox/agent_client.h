// The guest agent, as the shim calls it: grpc.AgentService over one ttrpc connection.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "rpc/protos/agent.pb.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::shim {

class AgentClient {
 public:
  AgentClient(asio::any_io_executor executor, Fd connected, Logger log)
      : client_(std::move(executor), std::move(connected), {}, std::move(log)) {}

  static constexpr std::chrono::seconds kDefaultTimeout{60};
  static constexpr std::chrono::seconds kNoTimeout{0};

  // kUnavailable when the connection is lost. The other codes are the agent's.
  template <typename Response, typename Request>
  [[nodiscard]] Task<Result<Response>> call(std::string method, Request request,
                                            std::chrono::nanoseconds timeout = kDefaultTimeout) {
    rpc::CallOptions options;
    options.timeout = timeout;
    Result<Response> response = co_await rpc::call<Response>(
        client_, "grpc.AgentService", std::move(method), request, std::move(options));
    co_return response;
  }

  // For methods that answer with nothing.
  template <typename Request>
  [[nodiscard]] Task<Status> command(std::string method, Request request,
                                     std::chrono::nanoseconds timeout = kDefaultTimeout) {
    Result<google::protobuf::Empty> response =
        co_await call<google::protobuf::Empty>(std::move(method), std::move(request), timeout);
    if (!response) co_return std::unexpected(std::move(response).error());
    co_return Status{};
  }

  // Health.Check: returns when the agent answers.
  [[nodiscard]] Task<Status> check(std::chrono::nanoseconds timeout);

  [[nodiscard]] bool closed() const { return client_.closed(); }
  Task<void> wait_closed() { return client_.wait_closed(); }
  void close() { client_.close(); }

 private:
  rpc::Client client_;
};

}  // namespace coffer::shim
