#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>

#include "guest-agent/methods.h"
#include "guest-agent/network.h"
#include "guest-agent/sandbox.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

using Empty = google::protobuf::Empty;

std::unexpected<Error> missing(std::string_view field) {
  return fail(Code::kInvalidArgument, fmt::format("read request: '{}' is missing", field));
}

Task<Result<types::Interface>> handle_interface(Sandbox& sandbox,
                                                grpc::UpdateInterfaceRequest request) {
  if (!request.has_interface()) co_return missing("interface");
  auto status = co_await update_interface(sandbox.devices(), request.interface());
  if (!status) co_return fail(std::move(status).error());
  co_return std::move(*request.mutable_interface());
}

Result<grpc::Routes> handle_routes(const grpc::UpdateRoutesRequest& request) {
  if (!request.has_routes()) return missing("routes");
  const auto& wire = request.routes().routes();
  COFFER_TRY_VOID(update_routes({wire.begin(), wire.end()}));
  return list_routes();
}

Result<Empty> handle_neighbours(const grpc::AddARPNeighborsRequest& request) {
  if (!request.has_neighbors()) return missing("neighbors");
  const auto& wire = request.neighbors().arpneighbors();
  COFFER_TRY_VOID(add_neighbours({wire.begin(), wire.end()}));
  return Empty();
}

}  // namespace

void add_network_methods(Registrar& registrar, Sandbox& sandbox) {
  registrar.add<grpc::UpdateInterfaceRequest, types::Interface>(
      "UpdateInterface", [&sandbox](Authorized<grpc::UpdateInterfaceRequest> request) {
        return handle_interface(sandbox, std::move(request).take());
      });
  registrar.add<grpc::UpdateRoutesRequest, grpc::Routes>(
      "UpdateRoutes",
      [](Authorized<grpc::UpdateRoutesRequest> request) -> Task<Result<grpc::Routes>> {
        co_return handle_routes(*request);
      });
  registrar.add<grpc::ListInterfacesRequest, grpc::Interfaces>(
      "ListInterfaces",
      [](Authorized<grpc::ListInterfacesRequest> /*request*/) -> Task<Result<grpc::Interfaces>> {
        co_return list_interfaces();
      });
  registrar.add<grpc::ListRoutesRequest, grpc::Routes>(
      "ListRoutes",
      [](Authorized<grpc::ListRoutesRequest> /*request*/) -> Task<Result<grpc::Routes>> {
        co_return list_routes();
      });
  registrar.add<grpc::AddARPNeighborsRequest, Empty>(
      "AddARPNeighbors",
      [](Authorized<grpc::AddARPNeighborsRequest> request) -> Task<Result<Empty>> {
        co_return handle_neighbours(*request);
      });
  registrar.add<grpc::GetIPTablesRequest, grpc::GetIPTablesResponse>(
      "GetIPTables",
      [&sandbox](
          Authorized<grpc::GetIPTablesRequest> request) -> Task<Result<grpc::GetIPTablesResponse>> {
        auto text = co_await save_iptables(sandbox.children(), request->is_ipv6());
        if (!text) co_return fail(std::move(text).error());
        grpc::GetIPTablesResponse response;
        response.set_data(*std::move(text));
        co_return response;
      });
  registrar.add<grpc::SetIPTablesRequest, grpc::SetIPTablesResponse>(
      "SetIPTables",
      [&sandbox](
          Authorized<grpc::SetIPTablesRequest> request) -> Task<Result<grpc::SetIPTablesResponse>> {
        auto text =
            co_await restore_iptables(sandbox.children(), request->is_ipv6(), request->data());
        if (!text) co_return fail(std::move(text).error());
        grpc::SetIPTablesResponse response;
        response.set_data(*std::move(text));
        co_return response;
      });
}

}  // namespace coffer::agent
