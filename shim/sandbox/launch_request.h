// What coffer-launch is asked about a pod of a class (cli/launch/launch.h).
#pragma once

#include <string>

#include "base/error.h"
#include "shim/config/load.h"
#include "shim/sandbox/host.h"
#include "shim/sandbox/launch.h"

namespace coffer::shim {

// The request for this pod. Without a folder no file is asked for: only what its launch measures.
[[nodiscard]] std::string launch_request(const LaunchRequest& request,
                                         const HypervisorConfig& config, const VmSpec& spec);

// The request for a pod of the class without limits of its own and without initdata, for whoever
// sets reference values: what is measured of kernel, initrd, command line and size is exactly what
// a pod would be started with. kFailedPrecondition for a class without a TEE.
[[nodiscard]] Result<std::string> describe_launch(const ConfigSources& sources, const Host& host);

}  // namespace coffer::shim
