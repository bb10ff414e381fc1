#include "shim/sandbox/agent_client.h"

#include "rpc/protos/health.pb.h"

namespace coffer::shim {

Task<Status> AgentClient::check(std::chrono::nanoseconds timeout) {
  grpc::CheckRequest request;
  rpc::CallOptions options;
  options.timeout = timeout;
  Result<grpc::HealthCheckResponse> response = co_await rpc::call<grpc::HealthCheckResponse>(
      client_, "grpc.Health", "Check", request, std::move(options));
  if (!response) co_return std::unexpected(std::move(response).error());
  co_return Status{};
}

}  // namespace coffer::shim
