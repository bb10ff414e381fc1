#include "shim/qemu/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "shim/config/annotations.h"

namespace coffer::shim {
namespace {

constexpr int kFirstFd = 3;
constexpr std::size_t kSnpHostData = 32;  // SEV-SNP Firmware ABI 1.55, LAUNCH_FINISH: HOST_DATA
constexpr std::size_t kTdxConfigId = 48;  // Intel TDX Module 1.5 ABI, TD_PARAMS: MRCONFIGID
constexpr std::uint32_t kTransportCidFirst = 3;

// QEMU's option syntax: a comma in a value is written twice.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == ',') out += c;
  }
  return out;
}

std::string_view on_off(bool on) { return on ? "on" : "off"; }

// A JSON string for QEMU's JSON-form options; our values are paths and base64.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class Composer {
 public:
  explicit Composer(const VmSpec& spec) : spec_(spec) {}

  CommandLine compose() {
    line_.argv = {spec_.qemu};
    identity();
    machine();
    memory();
    boot();
    monitor_and_console();
    tpm();
    hotplug_bridge();
    agent();
    entropy();
    for (std::size_t i = 0; i < spec_.disks.size(); ++i) disk(spec_.disks[i]);
    for (std::size_t i = 0; i < spec_.nics.size(); ++i) nic(spec_.nics[i], i);
    for (std::size_t i = 0; i < spec_.shares.size(); ++i) share(spec_.shares[i], i);
    for (const auto& item : spec_.fw_cfg) {
      option("-fw_cfg", fmt::format("name={},file={}", escaped(item.name), escaped(item.file)));
    }
    if (!spec_.seccomp_sandbox.empty()) option("-sandbox", spec_.seccomp_sandbox);
    return std::move(line_);
  }

 private:
  void option(std::string_view name, std::string value) {
    line_.argv.emplace_back(name);
    line_.argv.push_back(std::move(value));
  }
  void flag(std::string_view name) { line_.argv.emplace_back(name); }

  // The number under which QEMU finds the descriptor.
  int pass(int source) {
    const int target = kFirstFd + static_cast<int>(line_.fds.size());
    line_.fds.push_back({source, target});
    return target;
  }
  std::string pass_all(const std::vector<int>& sources) {
    std::vector<int> targets;
    targets.reserve(sources.size());
    for (const int source : sources) targets.push_back(pass(source));
    return fmt::format("{}", fmt::join(targets, ":"));
  }

  [[nodiscard]] bool hardware_tee() const {
    return spec_.tee != Tee::kNone && !spec_.tee_emulation;
  }

  void identity() {
    option("-name", fmt::format("{},debug-threads=on", escaped(spec_.name)));
    if (!spec_.uuid.empty()) option("-uuid", spec_.uuid);
    flag("-nodefaults");
    flag("-no-user-config");
    flag("-no-reboot");
    option("-display", "none");
    option("-vga", "none");
  }

  void machine() {
    std::string machine = spec_.machine_type;
    if (hardware_tee()) {
      machine +=
          fmt::format(",kernel_irqchip=split,confidential-guest-support={}", tee_name(spec_.tee));
    } else if (spec_.machine_type == "q35") {
      // What a pod never uses and its kernel would otherwise probe at boot.
      machine += ",sata=off,smbus=off,vmport=off,smm=off";
    }
    machine += ",memory-backend=ram0";
    if (!spec_.machine_accelerators.empty()) machine += "," + spec_.machine_accelerators;
    option("-machine", machine);
    option("-accel", spec_.kvm ? "kvm" : "tcg,thread=multi");
    cpu();
    option("-smp", fmt::format("{},cores=1,threads=1,sockets={}", spec_.vcpus, spec_.vcpus));
    option("-rtc", "base=utc,driftfix=slew,clock=host");
    option("-global", "kvm-pit.lost_tick_policy=discard");
    if (hardware_tee()) tee_object();
  }

  void cpu() {
    std::string cpu = spec_.cpu_model;
    if (cpu.empty()) {
      cpu = !spec_.kvm ? "max" : hardware_tee() && spec_.tee == Tee::kSnp ? "EPYC-v4" : "host";
    }
    if (!spec_.cpu_features.empty()) cpu += "," + spec_.cpu_features;
    option("-cpu", cpu);
  }

  void tee_object() { spec_.tee == Tee::kSnp ? snp_object() : tdx_object(); }

  void snp_object() {
    std::string object = fmt::format(
        "sev-snp-guest,id=snp,cbitpos={},reduced-phys-bits={},kernel-hashes=on,policy={}",
        spec_.snp_cbitpos, spec_.snp_reduced_phys_bits, spec_.snp_policy);
    if (!spec_.snp_id_block.empty()) {
      object += fmt::format(",id-block={},id-auth={}", spec_.snp_id_block, spec_.snp_id_auth);
    }
    if (!spec_.host_data.empty()) object += fmt::format(",host-data={}", spec_.host_data);
    option("-object", object);
  }

  void tdx_object() {
    std::string object = R"({"qom-type":"tdx-guest","id":"tdx")";
    if (!spec_.host_data.empty()) object += ",\"mrconfigid\":" + json_string(spec_.host_data);
    object += ",\"quote-generation-socket\":";
    object +=
        spec_.tdx_quote_port == 0
            ? fmt::format(R"({{"type":"unix","path":{}}})", json_string(spec_.tdx_quote_socket))
            : fmt::format(R"({{"type":"vsock","cid":"2","port":"{}"}})", spec_.tdx_quote_port);
    option("-object", object + "}");
  }

  void memory() {
    option("-m", fmt::format("{}M", spec_.memory_mib));
    const bool shared = std::ranges::any_of(
        spec_.shares, [](const VmShare& share) { return share.kind == SharedFs::kVirtioFs; });
    std::string backend = "memory-backend-ram";
    std::string extra;
    if (spec_.hugepages) {
      backend = "memory-backend-memfd";
      extra = ",hugetlb=on";
    } else if (shared) {
      backend = "memory-backend-memfd";
    }
    if (shared) extra += ",share=on";
    if (spec_.mem_prealloc) extra += fmt::format(",prealloc=on,prealloc-threads={}", spec_.vcpus);
    option("-object", fmt::format("{},id=ram0,size={}M{}", backend, spec_.memory_mib, extra));
  }

  void boot() {
    if (!spec_.firmware.empty()) option("-bios", spec_.firmware);
    option("-kernel", spec_.kernel);
    if (!spec_.initrd.empty()) option("-initrd", spec_.initrd);
    option("-append", spec_.kernel_params);
  }

  void monitor_and_console() {
    option("-chardev", fmt::format("socket,id=monitor,fd={}", pass(spec_.monitor)));
    option("-mon", "chardev=monitor,mode=control");
    option("-chardev", fmt::format("socket,id=console,fd={}", pass(spec_.console)));
    option("-serial", "chardev:console");
  }

  void tpm() {
    if (spec_.tpm < 0) return;
    option("-chardev", fmt::format("socket,id=tpm,fd={}", pass(spec_.tpm)));
    option("-tpmdev", "emulator,id=tpm0,chardev=tpm");
    option("-device", "tpm-crb,tpmdev=tpm0");
  }

  void agent() {
    if (spec_.transport == AgentTransport::kVsock) {
      option("-device", fmt::format("vhost-vsock-pci,id=vsock0,vhostfd={},guest-cid={}",
                                    pass(spec_.vhost_vsock), spec_.guest_cid));
      return;
    }
    option("-chardev", fmt::format("socket,id=agent,fd={}", pass(spec_.agent)));
    option("-device", "virtio-serial-pci,id=serial0,max_ports=2");
    option("-device",
           "virtserialport,id=agent,bus=serial0.0,chardev=agent,name=org.coffer.agent.0");
  }

  void entropy() {
    if (!spec_.entropy_source.empty()) {
      option("-object",
             fmt::format("rng-random,id=rng0,filename={}", escaped(spec_.entropy_source)));
      option("-device", "virtio-rng-pci,rng=rng0");
    }
  }

  // Stands at a fixed address, so it comes before the devices that take the next free one.
  void hotplug_bridge() {
    // With firmware on q35 a conventional bridge must itself sit behind a root port.
    const bool behind_port = !spec_.firmware.empty() && spec_.machine_type == "q35";
    if (behind_port) {
      option("-device", "pcie-root-port,id=bridge-port,bus=pcie.0,chassis=16");
      option("-device", fmt::format("pcie-pci-bridge,id={},bus=bridge-port", kHotplugBus));
    } else {
      option("-device", fmt::format("pci-bridge,id={},bus={},chassis_nr=1,shpc=off,addr=2,"
                                    "io-reserve=4k,mem-reserve=1m,pref64-reserve=1m",
                                    kHotplugBus, spec_.machine_type == "pc" ? "pci.0" : "pcie.0"));
    }
  }

  void disk(const VmDisk& disk) {
    option("-blockdev",
           fmt::format("driver=raw,node-name={0},read-only={1},file.driver={2},file.filename={3},"
                       "file.aio={4},cache.direct={5},cache.no-flush={6}",
                       disk.id, on_off(disk.read_only), disk.host_device ? "host_device" : "file",
                       escaped(disk.path), disk_aio(spec_), on_off(spec_.block_cache_direct),
                       on_off(spec_.block_cache_noflush)));
    option("-device", fmt::format("virtio-blk-pci,id=disk-{0},drive={0},serial={0}", disk.id));
  }

  void nic(const VmNic& nic, std::size_t index) {
    std::string netdev = fmt::format("tap,id=network-{},", index);
    const bool many = nic.taps.size() > 1;
    netdev += fmt::format("{}={}", many ? "fds" : "fd", pass_all(nic.taps));
    if (!nic.vhosts.empty()) {
      netdev += fmt::format(",vhost=on,{}={}", many ? "vhostfds" : "vhostfd", pass_all(nic.vhosts));
    }
    option("-netdev", netdev);
    std::string device =
        fmt::format("virtio-net-pci,netdev=network-{},mac={},romfile=", index, nic.mac);
    if (many) device += fmt::format(",mq=on,vectors={}", 2 * nic.taps.size() + 2);
    option("-device", device);
  }

  void share(const VmShare& share, std::size_t index) {
    if (share.kind == SharedFs::kVirtioFs) {
      option("-chardev", fmt::format("socket,id=fs-{},fd={}", index, pass(share.socket)));
      option("-device", fmt::format("vhost-user-fs-pci,chardev=fs-{},tag={},queue-size=1024", index,
                                    escaped(share.tag)));
      return;
    }
    // passthrough: QEMU runs as root, so owners and modes in the guest are those on the host, and a
    // failed chown is reported. remap: overlay mounts below the share have device numbers of their
    // own, whose inode numbers must not collide.
    option("-fsdev",
           fmt::format("local,id=fs-{},path={},security_model=passthrough,multidevs=remap", index,
                       escaped(share.path)));
    option("-device",
           fmt::format("virtio-9p-pci,fsdev=fs-{},mount_tag={}", index, escaped(share.tag)));
  }

  const VmSpec& spec_;
  CommandLine line_;
};

bool is_plain_id(std::string_view id) {
  return !id.empty() && id.size() <= 20 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

void check_tee(std::vector<std::string>& faults, const VmSpec& spec) {
  if (spec.snp_id_block.empty() != spec.snp_id_auth.empty()) {
    faults.emplace_back("snp id-block and id-auth: want both or neither");
  }
  if (spec.tee == Tee::kTpm && (spec.tpm < 0 || spec.firmware.empty())) {
    faults.emplace_back("tpm: needs a software TPM, and firmware that measures into it");
  }
  if (spec.tee == Tee::kNone || spec.tee_emulation) return;
  if (!spec.kvm) faults.push_back(fmt::format("{}: needs KVM", tee_name(spec.tee)));
  if (spec.firmware.empty())
    faults.push_back(fmt::format("{}: needs firmware", tee_name(spec.tee)));
  const std::size_t want = spec.tee == Tee::kSnp ? kSnpHostData : kTdxConfigId;
  if (spec.host_data.empty()) return;
  const auto data = from_base64(spec.host_data);
  if (!data || data->size() != want) {
    faults.push_back(fmt::format("host data: want base64 of {} bytes", want));
  }
  for (const auto& share : spec.shares) {
    faults.push_back(fmt::format("share '{}': a confidential VM shares no files", share.tag));
  }
}

void check_descriptors(std::vector<std::string>& faults, const VmSpec& spec) {
  if (spec.monitor < 0 || spec.console < 0) faults.emplace_back("no monitor or console");
  if (spec.transport == AgentTransport::kVirtioSerial && spec.agent < 0) {
    faults.emplace_back("virtio-serial: no agent socket");
  }
  if (spec.transport == AgentTransport::kVsock &&
      (spec.vhost_vsock < 0 || spec.guest_cid < kTransportCidFirst)) {
    faults.emplace_back("vsock: want an opened /dev/vhost-vsock and a CID of 3 or more");
  }
  for (const auto& nic : spec.nics) {
    if (nic.taps.empty() || (!nic.vhosts.empty() && nic.vhosts.size() != nic.taps.size())) {
      faults.push_back(
          fmt::format("nic '{}': {} taps, {} vhosts", nic.mac, nic.taps.size(), nic.vhosts.size()));
    }
  }
  for (const auto& share : spec.shares) {
    const bool there = share.kind == SharedFs::kVirtioFs ? share.socket >= 0 : !share.path.empty();
    if (!there || share.kind == SharedFs::kNone) {
      faults.push_back(fmt::format("share '{}': nothing serves it", share.tag));
    }
  }
}

}  // namespace

Result<CommandLine> compose(const VmSpec& spec) {
  std::vector<std::string> faults;
  if (spec.qemu.empty()) faults.emplace_back("no QEMU");
  if (spec.kernel.empty()) faults.emplace_back("no kernel");
  if (spec.initrd.empty() && spec.disks.empty()) faults.emplace_back("no initrd and no disk");
  if (spec.memory_mib == 0) faults.emplace_back("no memory");
  if (spec.vcpus == 0) faults.emplace_back("no vCPU");
  for (const auto& disk : spec.disks) {
    if (!is_plain_id(disk.id)) faults.push_back(fmt::format("disk id '{}'", disk.id));
  }
  check_tee(faults, spec);
  check_descriptors(faults, spec);
  if (!faults.empty()) {
    return fail(Code::kInvalidArgument,
                fmt::format("compose QEMU's command line: {}", fmt::join(faults, "; ")));
  }
  return Composer(spec).compose();
}

std::string kernel_command_line(const KernelParams& params) {
  std::string line =
      "tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 i8042.dumbkbd=1 "
      "i8042.nopnp=1 i8042.noaux=1 noreplace-smp reboot=k cryptomgr.notests net.ifnames=0 panic=1 "
      "selinux=0 audit=0 console=ttyS0";
  // Nobody attacks a TCG guest through its speculation: there is none. A confidential guest keeps
  // every mitigation, and a plain one under KVM those its kernel chooses. The self-test of the
  // jitter entropy source is a tenth of an emulated boot, and nothing in the guest draws from it.
  if (!params.kvm && !params.confidential) {
    line += " mitigations=off initcall_blacklist=jent_mod_init";
  }
  line += params.debug ? " debug loglevel=7" : " quiet";
  for (const auto& param : params.agent_params) line = merge_kernel_params(line, param);
  return merge_kernel_params(line, params.user_params);
}

std::string disk_aio(const VmSpec& spec) {
  return spec.block_aio == "native" && !spec.block_cache_direct ? "threads" : spec.block_aio;
}

std::string hotplug_pci_path(std::uint32_t slot) { return fmt::format("02/{:02x}", slot); }

}  // namespace coffer::shim
