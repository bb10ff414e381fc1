// The QEMU command line of a pod, as a pure function of its description.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shim/config/config.h"

namespace coffer::shim {

// A file descriptor QEMU inherits: `source` in this process becomes `target` in QEMU.
struct PassedFd {
  int source = -1;
  int target = -1;
  bool operator==(const PassedFd&) const = default;
};

struct VmDisk {
  std::string id;    // device id and serial; the guest finds it by /sys/block/*/serial
  std::string path;  // raw image or block device
  bool read_only = true;
  bool host_device = false;  // `path` is a block device
};

struct VmNic {
  std::string mac;
  std::vector<int> taps;    // one fd per queue
  std::vector<int> vhosts;  // as many as taps, or none
};

// Host directories the guest sees. 9p is served by QEMU; virtio-fs by a virtiofsd at `socket`.
struct VmShare {
  std::string tag;
  SharedFs kind = SharedFs::kVirtio9p;
  std::string path;  // 9p
  int socket = -1;   // virtio-fs: a connected vhost-user socket
};

// An fw_cfg item ("opt/org.coffer/..."): read by the guest's kernel from /sys/firmware/qemu_fw_cfg.
struct VmFwCfg {
  std::string name;
  std::string file;
};

enum class AgentTransport { kVirtioSerial, kVsock };

struct VmSpec {
  std::string name;  // "sandbox-<id>"
  std::string uuid;
  std::string qemu = "/usr/bin/qemu-system-x86_64";

  Tee tee = Tee::kNone;
  bool tee_emulation = false;
  bool kvm = false;
  std::string machine_type = "q35";
  std::string machine_accelerators;
  std::string cpu_model;  // "": host under KVM, max under TCG, EPYC-v4 for SNP
  std::string cpu_features;
  std::uint32_t vcpus = 1;
  std::uint64_t memory_mib = 0;

  std::string kernel;
  std::string initrd;
  std::string image;
  std::string firmware;
  std::string kernel_params;  // the whole line, see kernel_command_line()

  // SNP: binary, base64 of 96 and 4096 bytes. TDX: quote service.
  std::uint64_t snp_policy = 0x30000;
  std::string snp_id_block;
  std::string snp_id_auth;
  std::uint32_t snp_cbitpos = 51;
  std::uint32_t snp_reduced_phys_bits = 1;
  std::string host_data;  // initdata digest, base64: 32 bytes for SNP, 48 for TDX; may be ""
  std::uint32_t tdx_quote_port = 0;  // 0: the Unix socket
  std::string tdx_quote_socket = "/var/run/tdx-qgs/qgs.socket";

  AgentTransport transport = AgentTransport::kVirtioSerial;
  std::uint32_t guest_cid = 0;
  int vhost_vsock = -1;  // opened /dev/vhost-vsock, for kVsock

  // Ends of socket pairs that QEMU gets.
  int monitor = -1;
  int console = -1;
  int agent = -1;  // kVirtioSerial
  int tpm = -1;    // the control channel of a software TPM (shim/qemu/software_tpm.h)

  std::vector<VmNic> nics;
  std::vector<VmShare> shares;
  std::vector<VmDisk> disks;
  std::vector<VmFwCfg> fw_cfg;

  bool mem_prealloc = false;
  bool hugepages = false;
  std::string entropy_source = "/dev/urandom";
  std::string seccomp_sandbox;
  std::string block_aio = "threads";
  bool block_cache_direct = false;
  bool block_cache_noflush = false;
};

struct CommandLine {
  std::vector<std::string> argv;  // argv[0] is the program
  std::vector<PassedFd> fds;      // targets count up from 3
};

// kInvalidArgument for a description QEMU could not run: a comma where none may stand is escaped,
// but missing kernel or memory, a TEE without KVM or firmware, and an id-block without its id-auth
// are refused.
[[nodiscard]] Result<CommandLine> compose(const VmSpec& spec);

// The guest kernel's command line for a class: ours, then `user_params` over it (a key there
// replaces ours). `agent_params` are the agent's ("agent.log=debug"). Nothing that varies from pod
// to pod may stand in it: it is measured.
struct KernelParams {
  bool kvm = false;
  bool confidential = false;
  bool debug = false;
  std::vector<std::string> agent_params;
  std::string user_params;
};
[[nodiscard]] std::string kernel_command_line(const KernelParams& params);

// How disks are read: `block_aio`, but QEMU refuses native I/O on cached files.
[[nodiscard]] std::string disk_aio(const VmSpec& spec);

// Disks and NICs that come later sit on one PCI bridge: slots 1 to kHotplugSlots.
inline constexpr std::uint32_t kHotplugSlots = 30;
inline constexpr std::string_view kHotplugBus = "pci-bridge-0";
// The path by which the agent finds the device in `slot`: "02/03".
[[nodiscard]] std::string hotplug_pci_path(std::uint32_t slot);

}  // namespace coffer::shim
