#include "shim/config/sizing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace coffer::shim {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;
constexpr double kSharesPerCpu = 1024;
// No VM of ours is larger; keeps the arithmetic exact.
constexpr double kMaxVcpus = 4096;

using Annotations = std::map<std::string, std::string>;

Result<std::optional<std::int64_t>> number(const Annotations& annotations, std::string_view name) {
  // containerd's prefix, then CRI-O's.
  for (const std::string_view prefix :
       {"io.kubernetes.cri.sandbox-", "io.kubernetes.cri-o.sandbox-"}) {
    const std::string key = fmt::format("{}{}", prefix, name);
    const auto it = annotations.find(key);
    if (it == annotations.end()) continue;
    std::int64_t value = 0;
    const char* end = it->second.data() + it->second.size();
    const auto [parsed, error] = std::from_chars(it->second.data(), end, value);
    if (error != std::errc{} || parsed != end) {
      return fail(Code::kInvalidArgument, fmt::format("annotation '{}': got '{}', want an integer",
                                                      key, it->second.substr(0, 64)));
    }
    return value;
  }
  return std::nullopt;
}

std::uint32_t count_vcpus(const HypervisorConfig& config, const PodResources& pod,
                          std::uint32_t host_cpus) {
  const double host = std::max<double>(host_cpus, 1);
  double wanted = config.default_vcpus < 0 ? host : config.default_vcpus;
  if (pod.vcpus) {
    wanted = *pod.vcpus + config.overhead_vcpus;
  } else if (pod.requested_vcpus) {
    wanted = std::max(wanted, *pod.requested_vcpus);
  }
  double most = host;
  if (config.default_maxvcpus > 0) {
    most = std::min(host, static_cast<double>(config.default_maxvcpus));
  }
  // A limit of 0.5 with an overhead of 0.2 must not come to a second vCPU by rounding noise.
  constexpr double kNoise = 1e-6;
  const double vcpus = std::clamp(std::ceil(wanted - kNoise), 1.0, std::min(most, kMaxVcpus));
  return static_cast<std::uint32_t>(vcpus);
}

}  // namespace

Result<PodResources> pod_resources(const Annotations& annotations) {
  PodResources pod;
  COFFER_TRY(const auto quota, number(annotations, "cpu-quota"));
  COFFER_TRY(const auto period, number(annotations, "cpu-period"));
  COFFER_TRY(const auto shares, number(annotations, "cpu-shares"));
  COFFER_TRY(const auto memory, number(annotations, "memory"));
  if (quota && period && *quota > 0 && *period > 0) {
    pod.vcpus = static_cast<double>(*quota) / static_cast<double>(*period);
  } else if (shares && static_cast<double>(*shares) > kSharesPerCpu) {
    pod.requested_vcpus = static_cast<double>(*shares) / kSharesPerCpu;
  }
  if (memory && *memory > 0) pod.memory_bytes = static_cast<std::uint64_t>(*memory);
  return pod;
}

Result<VmSize> size_vm(const HypervisorConfig& config, const PodResources& pod,
                       std::uint32_t host_cpus, std::uint64_t host_memory_mib) {
  VmSize size;
  size.vcpus = count_vcpus(config, pod, host_cpus);
  size.memory_mib = config.default_memory;
  if (pod.memory_bytes) {
    const std::uint64_t limit = *pod.memory_bytes / kMib + (*pod.memory_bytes % kMib != 0 ? 1 : 0);
    // Saturates instead of wrapping: the check below then refuses it.
    size.memory_mib = limit + std::min(config.overhead_memory, UINT64_MAX - limit);
  }
  size.memory_mib = std::max(size.memory_mib, kMinMemoryMib);
  const std::uint64_t most = config.default_maxmemory == 0
                                 ? host_memory_mib
                                 : std::min(config.default_maxmemory, host_memory_mib);
  if (size.memory_mib > most) {
    return fail(Code::kResourceExhausted,
                fmt::format("requested memory ({} MiB) is greater than the maximum allowed ({} "
                            "MiB; default_maxmemory, host memory)",
                            size.memory_mib, most));
  }
  return size;
}

}  // namespace coffer::shim
