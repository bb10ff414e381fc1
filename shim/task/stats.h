// A container's figures as containerd wants them: its own metrics message of cgroup v1 or v2, by
// what the host has.
#pragma once

#include <google/protobuf/any.pb.h>

#include "rpc/protos/agent.pb.h"

namespace coffer::shim {

// The Any's type_url is the bare message name.
[[nodiscard]] google::protobuf::Any metrics_v1(const grpc::StatsContainerResponse& stats);
[[nodiscard]] google::protobuf::Any metrics_v2(const grpc::StatsContainerResponse& stats);

}  // namespace coffer::shim
