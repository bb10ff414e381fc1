// How large a pod's VM is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "shim/config/config.h"

namespace coffer::shim {

// A pod's limits. Absent means "no limit".
struct PodResources {
  std::optional<double> vcpus = std::nullopt;            // quota / period
  std::optional<double> requested_vcpus = std::nullopt;  // shares / 1024, where there is no quota
  std::optional<std::uint64_t> memory_bytes = std::nullopt;
};

// From containerd's and CRI-O's sandbox annotations ("io.kubernetes.cri.sandbox-cpu-quota", ...).
// Where there is no quota, shares of more than one CPU raise the count above the default. Values
// that are no numbers are kInvalidArgument.
[[nodiscard]] Result<PodResources> pod_resources(
    const std::map<std::string, std::string>& annotations);

struct VmSize {
  std::uint32_t vcpus = 1;
  std::uint64_t memory_mib = 0;
  bool operator==(const VmSize&) const = default;
};

// Each resource by itself: the pod's limit plus the class's overhead where there is a limit, else
// the class's default. vCPUs are rounded up and capped by `default_maxvcpus` and `host_cpus`;
// memory is at least kMinMemoryMib, and kResourceExhausted above `default_maxmemory` or
// `host_memory_mib`.
inline constexpr std::uint64_t kMinMemoryMib = 256;
[[nodiscard]] Result<VmSize> size_vm(const HypervisorConfig& config, const PodResources& pod,
                                     std::uint32_t host_cpus, std::uint64_t host_memory_mib);

}  // namespace coffer::shim
