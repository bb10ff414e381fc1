// From the wire's grpc.Spec to the config.json of the OCI runtime spec 1.0.2 that crun reads. Pure
// conversion: no I/O, and nothing about this sandbox (container.cc adds namespaces and paths).
//
// proto3 has no "absent" for a scalar, so zero and empty mean absent, as in Kata. Unlike Kata's
// conversion: negative limits (-1, unlimited) and pid limits survive, hooks stay in their own list,
// and text that is not in a known enumeration is an error, not a default.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"

namespace grpc {
class Linux;
class LinuxResources;
class Process;
class Spec;
}  // namespace grpc

namespace coffer::agent {

// The whole document. Annotations that steer crun itself (`run.oci.*`, `module.wasm.*`) are left
// out: they come from the host. Sysctls are left out too: sysctl.h applies them.
[[nodiscard]] Result<nlohmann::json> oci_spec(const grpc::Spec& spec);
[[nodiscard]] Result<nlohmann::json> oci_process(const grpc::Process& process);
[[nodiscard]] Result<nlohmann::json> oci_linux(const grpc::Linux& linux_spec);
// The form that `crun update --resources` takes, and its device rules, which an update must leave
// alone: crun would put them in the place of those that the container started with.
[[nodiscard]] Result<nlohmann::json> oci_resources(const grpc::LinuxResources& resources);

// "mnt" and "mount" both give "mount"; kInvalidArgument for a type nobody knows.
[[nodiscard]] Result<std::string> oci_namespace_type(const std::string& wire);

}  // namespace coffer::agent
