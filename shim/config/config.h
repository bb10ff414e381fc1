// The configuration of a runtime class as plain values. Field names are the TOML keys of Kata's
// `configuration-qemu.toml` (the Rust shim's name where Go's and Rust's differ); each key's meaning
// is explained where it stands in configs/configuration-qemu.toml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace coffer::shim {

// Which confidential-computing technology the pod's VM must have.
// kTpm and kSample exist only with `tee_emulation`: a software TPM, and no TEE at all.
enum class Tee { kNone, kSnp, kTdx, kTpm, kSample };
// "none", "snp", "tdx", "tpm", "sample".
[[nodiscard]] std::string_view tee_name(Tee tee);

// What `tee` says: a technology, or nothing, in which case `confidential_guest` decides.
enum class TeeSetting { kUnset, kNone, kSnp, kTdx, kTpm, kSample };

enum class Accelerator { kAuto, kKvm, kTcg };
[[nodiscard]] std::string_view accelerator_name(Accelerator accelerator);

// kAuto: virtio-fs when a virtiofsd is installed, else virtio-9p.
enum class SharedFs { kNone, kVirtioFs, kVirtio9p };
[[nodiscard]] std::string_view shared_fs_name(SharedFs shared_fs);

enum class NetworkModel { kTcFilter, kMacvtap, kNone };
[[nodiscard]] std::string_view network_model_name(NetworkModel model);

enum class EmptyDirMode { kSharedFs, kBlockEncrypted, kBlockPlain };

// [hypervisor.qemu]
struct HypervisorConfig {
  // Programs and boot files.
  std::string path = "/usr/bin/qemu-system-x86_64";
  std::vector<std::string> valid_hypervisor_paths = {"/usr/bin/qemu-system-x86_64"};
  std::string kernel;
  std::string image;
  std::string initrd;
  std::string firmware;
  std::string firmware_volume;
  std::string rootfs_type = "ext4";
  std::string kernel_params;
  std::string kernel_verity_params;
  // Coffer's own: allow-lists of globs for the annotations that name boot files. Empty allows any.
  std::vector<std::string> valid_boot_paths;

  // The machine.
  std::string machine_type = "q35";
  std::string machine_accelerators;
  std::string cpu_features = "pmu=off";
  Accelerator accelerator = Accelerator::kAuto;  // Coffer's own key
  std::string seccomp_sandbox;
  std::string entropy_source = "/dev/urandom";
  std::vector<std::string> valid_entropy_sources = {"/dev/urandom", "/dev/random", ""};
  bool enable_debug = false;
  bool disable_selinux = false;

  // Confidential computing.
  TeeSetting tee = TeeSetting::kUnset;  // Coffer's own key
  bool tee_emulation = false;           // Coffer's own key: the TEE is emulated (development)
  // Coffer's own key: where emulated TEEs keep the keys and roots of their throwaway vendors.
  std::string tee_emulation_vendor = "/var/lib/coffer/tee-emulation";
  bool confidential_guest = false;
  bool sev_snp_guest = false;
  std::string snp_id_block;
  std::string snp_id_auth;
  std::uint64_t snp_guest_policy = 0x30000;
  std::uint32_t tdx_quote_generation_service_socket_port = 0;
  std::string initdata;
  std::string policy;

  // Size. Memory in MiB. vCPU counts below zero mean the host's count.
  double default_vcpus = 1;
  std::int64_t default_maxvcpus = 0;
  std::uint64_t default_memory = 2048;
  std::uint64_t default_maxmemory = 0;
  std::uint64_t memory_slots = 10;
  std::uint64_t memory_offset = 0;
  double overhead_vcpus = 0.2;
  std::uint64_t overhead_memory = 32;
  std::uint64_t default_bridges = 1;
  bool enable_mem_prealloc = false;
  bool enable_hugepages = false;
  bool reclaim_guest_freed_memory = false;

  // Shares.
  SharedFs shared_fs = SharedFs::kVirtioFs;
  std::string virtio_fs_daemon = "/usr/libexec/virtiofsd";
  std::vector<std::string> valid_virtio_fs_daemon_paths = {"/usr/libexec/virtiofsd"};
  std::string virtio_fs_cache = "auto";
  std::uint64_t virtio_fs_cache_size = 0;
  std::uint64_t virtio_fs_queue_size = 1024;
  std::vector<std::string> virtio_fs_extra_args = {"--thread-pool-size=1", "--announce-submounts"};
  std::uint64_t msize_9p = 524288;

  // Disks.
  bool disable_block_device_use = false;
  std::string block_device_driver = "virtio-blk-pci";
  std::string block_device_aio = "threads";
  bool block_device_cache_set = false;
  bool block_device_cache_direct = false;
  bool block_device_cache_noflush = false;
  std::uint64_t block_device_logical_sector_size = 0;
  std::uint64_t block_device_physical_sector_size = 0;
  std::uint64_t queue_size = 128;
  std::uint64_t num_queues = 1;

  // Network.
  std::uint64_t network_queues = 1;
  bool disable_vhost_net = false;

  // Which `io.katacontainers.config.hypervisor.*` annotations a pod may use: regular expressions,
  // each matched against the whole name.
  std::vector<std::string> enable_annotations;

  bool operator==(const HypervisorConfig&) const = default;
};

// [agent.kata]. Times in milliseconds, whatever the key's unit in the file.
struct AgentConfig {
  std::string log_level = "info";
  bool debug_console_enabled = false;
  bool enable_tracing = false;
  std::vector<std::string> kernel_modules;
  std::uint64_t dial_timeout_ms = 10;
  // The whole budget for the guest to come up and answer. Kata's own default of 3 s does not fit a
  // machine without KVM.
  std::uint64_t reconnect_timeout_ms = 60000;
  std::uint64_t cdh_api_timeout_ms = 50000;
  std::uint64_t launch_process_timeout_ms = 6000;
  std::uint64_t create_container_timeout_ms = 60000;
  std::uint64_t health_check_request_timeout_ms = 90000;
  std::uint32_t server_port = 1024;
  std::uint32_t log_port = 1025;
  std::uint64_t container_pipe_size = 0;
  std::string policy;  // from the annotation: base64 Rego
  // Coffer's own key: no container is made in the guest before its key broker has released a token.
  bool attestation_required = false;

  bool operator==(const AgentConfig&) const = default;
};

// [runtime]
struct RuntimeConfig {
  bool enable_debug = false;
  NetworkModel internetworking_model = NetworkModel::kTcFilter;
  bool disable_new_netns = false;
  bool disable_guest_seccomp = true;
  bool sandbox_cgroup_only = true;
  bool static_sandbox_resource_mgmt = true;
  bool enable_vcpus_pinning = false;
  std::string guest_selinux_label;
  std::vector<std::string> sandbox_bind_mounts;
  bool disable_guest_empty_dir = true;
  EmptyDirMode emptydir_mode = EmptyDirMode::kSharedFs;
  bool force_guest_pull = false;
  std::string kubelet_root_dir = "/var/lib/kubelet";
  std::string dan_conf = "/run/kata-containers/dans";
  bool keep_abnormal = false;

  bool operator==(const RuntimeConfig&) const = default;
};

struct Config {
  HypervisorConfig hypervisor;
  AgentConfig agent;
  RuntimeConfig runtime;
  // The main file after symlinks, or "" for an inline configuration.
  std::filesystem::path file;

  bool operator==(const Config&) const = default;
};

// What this host's hardware offers (base/host finds it out).
struct HostTees {
  bool snp = false;
  bool tdx = false;
};

// Which TEE a pod of this class gets. kFailedPrecondition when the class asks for a TEE that this
// host lacks, or asks for a confidential guest and the host has none: a plain VM is never started
// in its place. With `tee_emulation` the host is not asked.
[[nodiscard]] Result<Tee> resolve_tee(const HypervisorConfig& config, const HostTees& host);

// Contradictions between keys: kInvalidArgument that names all of them. (One of initrd and image;
// snp_id_block and snp_id_auth together; hypervisor, kernel set; ...)
[[nodiscard]] Status validate(const Config& config);

}  // namespace coffer::shim
