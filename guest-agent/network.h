// The guest's network as the host describes it: interfaces, routes, neighbours, packet filters.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop.h"

namespace types {
class ARPNeighbor;
class Interface;
class Route;
}  // namespace types
namespace grpc {
class Interfaces;
class NetworkStats;
class Routes;
}  // namespace grpc

namespace coffer::agent {

class ChildRegistry;
class DeviceFinder;

// Finds the link by PCI path, hardware address or name, then gives it its name, addresses and MTU
// and brings it up.
[[nodiscard]] Task<Status> update_interface(DeviceFinder& devices, types::Interface wanted);
// Those without a gateway first. One that is there already is no error; none is removed.
[[nodiscard]] Status update_routes(const std::vector<types::Route>& routes);
[[nodiscard]] Status add_neighbours(const std::vector<types::ARPNeighbor>& neighbours);
[[nodiscard]] Result<grpc::Interfaces> list_interfaces();
[[nodiscard]] Result<grpc::Routes> list_routes();
// Every link but loopback, from sysfs.
[[nodiscard]] Result<std::vector<grpc::NetworkStats>> network_stats();

// iptables-save and iptables-restore of the guest; kUnimplemented when it has none.
[[nodiscard]] Task<Result<std::string>> save_iptables(ChildRegistry& children, bool ipv6);
[[nodiscard]] Task<Result<std::string>> restore_iptables(ChildRegistry& children, bool ipv6,
                                                         std::string rules);

}  // namespace coffer::agent
