#include "shim/sandbox/vm_plan.h"

#include <fmt/core.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>

#include "shim/sandbox/guest_spec.h"

namespace coffer::shim {
namespace {

// RFC 9562, version 4.
std::string random_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  check(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
        "getrandom failed");
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
  const std::string hex = to_hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

void plan_nics(PodNetwork& network, VmOptions& options) {
  for (Endpoint& endpoint : network.endpoints) {
    VmNic nic;
    nic.mac = endpoint.interface.mac;
    for (Fd& tap : endpoint.taps) {
      nic.taps.push_back(tap.get());
      options.owned.push_back(std::move(tap));
    }
    for (Fd& vhost : endpoint.vhosts) {
      nic.vhosts.push_back(vhost.get());
      options.owned.push_back(std::move(vhost));
    }
    endpoint.taps.clear();
    endpoint.vhosts.clear();
    options.spec.nics.push_back(std::move(nic));
  }
}

void plan_boot(const Config& config, const VmPlan& plan, VmSpec& spec) {
  spec.kernel = config.hypervisor.kernel;
  spec.initrd = config.hypervisor.initrd;
  spec.image = config.hypervisor.image;
  // What an emulated TEE's launch measures of firmware is not run: there is no memory to protect.
  const bool played = plan.tee == Tee::kSnp || plan.tee == Tee::kTdx;
  if (!config.hypervisor.tee_emulation || !played) spec.firmware = config.hypervisor.firmware;
  KernelParams params;
  params.kvm = plan.kvm;
  params.confidential = plan.tee != Tee::kNone;
  params.debug = config.hypervisor.enable_debug;
  params.agent_params = agent_parameters(config.agent);
  params.user_params = config.hypervisor.kernel_params;
  spec.kernel_params = kernel_command_line(params);
}

void plan_tee(const HypervisorConfig& config, const VmPlan& plan, VmSpec& spec) {
  spec.tee = plan.tee;
  spec.tee_emulation = config.tee_emulation;
  spec.snp_policy = config.snp_guest_policy;
  spec.snp_id_block = config.snp_id_block;
  spec.snp_id_auth = config.snp_id_auth;
  spec.tdx_quote_port = config.tdx_quote_generation_service_socket_port;
}

}  // namespace

PodResources single_resources(const grpc::Spec& spec) {
  PodResources resources;
  const grpc::LinuxResources& limits = spec.linux().resources();
  if (limits.cpu().quota() > 0 && limits.cpu().period() > 0) {
    resources.vcpus =
        static_cast<double>(limits.cpu().quota()) / static_cast<double>(limits.cpu().period());
  }
  if (limits.memory().limit() > 0) {
    resources.memory_bytes = static_cast<std::uint64_t>(limits.memory().limit());
  }
  return resources;
}

SharedFs usable_shared_fs(const HypervisorConfig& config) {
  if (config.shared_fs != SharedFs::kVirtioFs) return config.shared_fs;
  return ::access(config.virtio_fs_daemon.c_str(), X_OK) == 0 ? SharedFs::kVirtioFs
                                                              : SharedFs::kVirtio9p;
}

std::vector<std::string> agent_parameters(const AgentConfig& config) {
  std::vector<std::string> words;
  if (config.log_level != "info") words.push_back("agent.log=" + config.log_level);
  if (config.debug_console_enabled) {
    words.emplace_back("agent.debug_console");
    words.emplace_back("agent.debug_console_vport=1026");
  }
  if (config.container_pipe_size != 0) {
    words.push_back(fmt::format("agent.container_pipe_size={}", config.container_pipe_size));
  }
  if (config.attestation_required) words.emplace_back("agent.attestation_required=true");
  constexpr std::uint64_t kMillis = 1000;
  words.push_back(fmt::format("agent.cdh_api_timeout={}", config.cdh_api_timeout_ms / kMillis));
  return words;
}

VmOptions plan_vm(const Config& config, const VmPlan& plan, PodNetwork& network) {
  VmOptions options;
  VmSpec& spec = options.spec;
  const HypervisorConfig& hypervisor = config.hypervisor;
  spec.name = "sandbox-" + plan.sandbox_id;
  spec.uuid = random_uuid();
  spec.qemu = hypervisor.path;
  spec.kvm = plan.kvm;
  spec.machine_type = hypervisor.machine_type;
  spec.machine_accelerators = hypervisor.machine_accelerators;
  spec.cpu_features = hypervisor.cpu_features;
  spec.vcpus = plan.size.vcpus;
  spec.memory_mib = plan.size.memory_mib;
  plan_boot(config, plan, spec);
  plan_tee(hypervisor, plan, spec);
  plan_nics(network, options);
  if (plan.shared_fs == SharedFs::kVirtio9p) {
    VmShare share;
    share.tag = std::string(kShareTag);
    share.kind = SharedFs::kVirtio9p;
    share.path = plan.exported.native();
    spec.shares.push_back(std::move(share));
  }
  spec.mem_prealloc = hypervisor.enable_mem_prealloc;
  spec.hugepages = hypervisor.enable_hugepages;
  spec.entropy_source = hypervisor.entropy_source;
  spec.seccomp_sandbox = hypervisor.seccomp_sandbox;
  spec.block_aio = hypervisor.block_device_aio;
  spec.block_cache_direct = hypervisor.block_device_cache_direct;
  spec.block_cache_noflush = hypervisor.block_device_cache_noflush;
  return options;
}

}  // namespace coffer::shim
