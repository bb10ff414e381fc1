// The agent's messages that set up the sandbox, from our own types.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rpc/protos/agent.pb.h"
#include "shim/network/network.h"

namespace coffer::shim {

[[nodiscard]] types::Interface interface_message(const GuestInterface& interface);
[[nodiscard]] grpc::UpdateRoutesRequest routes_message(const std::vector<GuestRoute>& routes);
[[nodiscard]] grpc::AddARPNeighborsRequest neighbours_message(
    const std::vector<GuestNeighbour>& neighbours);

// The share, unless kNone, and the /dev/shm that the sandbox's containers have in common.
void add_sandbox_storages(grpc::CreateSandboxRequest& request, SharedFs shared_fs,
                          std::uint64_t msize, std::uint64_t shm_bytes);

// "name parameter=value ...", each.
void add_kernel_modules(grpc::CreateSandboxRequest& request,
                        const std::vector<std::string>& modules);

}  // namespace coffer::shim
