// From a class's configuration and a pod's needs to the description of its VM.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "rpc/protos/oci.pb.h"
#include "shim/config/config.h"
#include "shim/config/sizing.h"
#include "shim/network/network.h"
#include "shim/qemu/vm.h"

namespace coffer::shim {

// The limits of a container that is its own pod, from its specification.
[[nodiscard]] PodResources single_resources(const grpc::Spec& spec);

// The file sharing that this host can do for the class: virtio-9p where virtio-fs is asked for and
// its daemon is not installed.
[[nodiscard]] SharedFs usable_shared_fs(const HypervisorConfig& config);

struct VmPlan {
  std::string sandbox_id;
  Tee tee = Tee::kNone;
  bool kvm = false;
  VmSize size;
  SharedFs shared_fs = SharedFs::kNone;
  std::filesystem::path exported;  // what the guest sees, unless kNone
};

// Takes the network's descriptors over into the options.
[[nodiscard]] VmOptions plan_vm(const Config& config, const VmPlan& plan, PodNetwork& network);

// The parameters that tell the guest's agent how this class wants it.
[[nodiscard]] std::vector<std::string> agent_parameters(const AgentConfig& config);

}  // namespace coffer::shim
