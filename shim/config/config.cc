#include "shim/config/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "base/bytes.h"

namespace coffer::shim {
namespace {

constexpr std::size_t kIdBlockBytes = 96;   // SEV-SNP Firmware ABI 1.55, table 73: ID block
constexpr std::size_t kIdAuthBytes = 4096;  // the same, table 75: ID authentication information

Result<Tee> need(bool present, Tee tee, std::string_view why) {
  if (present) return tee;
  return fail(Code::kFailedPrecondition,
              fmt::format("tee = \"{}\": {} (see 'coffer check')", tee_name(tee), why));
}

constexpr std::string_view kNoSnp =
    "this host cannot run SEV-SNP guests: /sys/module/kvm_amd/parameters/sev_snp is not Y";
constexpr std::string_view kNoTdx =
    "this host cannot run TDX guests: /sys/module/kvm_intel/parameters/tdx is not Y";

constexpr std::string_view kEmulatedOnly = "exists only with tee_emulation = true";

void check_blob(std::vector<std::string>& faults, std::string_view key, const std::string& text,
                std::size_t want) {
  if (text.empty()) return;
  const auto bytes = from_base64(text);
  if (!bytes) {
    faults.push_back(fmt::format("{}: not base64: {}", key, bytes.error().message()));
  } else if (bytes->size() != want) {
    faults.push_back(fmt::format("{}: got {} bytes, want {}", key, bytes->size(), want));
  }
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  for (const auto item : list) {
    if (item == text) return true;
  }
  return false;
}

void check_hypervisor(std::vector<std::string>& faults, const HypervisorConfig& hypervisor) {
  if (hypervisor.path.empty()) faults.emplace_back("path: empty");
  if (hypervisor.kernel.empty()) faults.emplace_back("kernel: not set");
  if (hypervisor.initrd.empty() && hypervisor.image.empty()) {
    faults.emplace_back("initrd, image: neither is set");
  }
  if (!hypervisor.initrd.empty() && !hypervisor.image.empty()) {
    faults.emplace_back("initrd, image: both are set, want one");
  }
  if (hypervisor.snp_id_block.empty() != hypervisor.snp_id_auth.empty()) {
    faults.emplace_back("snp_id_block, snp_id_auth: want both or neither");
  }
  check_blob(faults, "snp_id_block", hypervisor.snp_id_block, kIdBlockBytes);
  check_blob(faults, "snp_id_auth", hypervisor.snp_id_auth, kIdAuthBytes);
  if (hypervisor.tee == TeeSetting::kNone && hypervisor.confidential_guest) {
    faults.emplace_back("tee = \"none\" contradicts confidential_guest = true");
  }
  const bool tee = hypervisor.tee == TeeSetting::kSnp || hypervisor.tee == TeeSetting::kTdx;
  if (tee && !hypervisor.tee_emulation && hypervisor.accelerator == Accelerator::kTcg) {
    faults.emplace_back("accelerator = \"tcg\": SNP and TDX need KVM");
  }
  const bool development =
      hypervisor.tee == TeeSetting::kTpm || hypervisor.tee == TeeSetting::kSample;
  if (development && !hypervisor.tee_emulation) {
    faults.emplace_back("tee = \"tpm\" and \"sample\" need tee_emulation = true");
  }
  if (hypervisor.tee == TeeSetting::kTpm && hypervisor.firmware.empty()) {
    faults.emplace_back("tee = \"tpm\": needs firmware, which measures what it boots");
  }
  if (!tee && !development && hypervisor.tee_emulation) {
    faults.emplace_back("tee_emulation: needs tee = \"snp\", \"tdx\", \"tpm\" or \"sample\"");
  }
  if (!one_of(hypervisor.block_device_aio, {"threads", "native", "io_uring"})) {
    faults.push_back(fmt::format("block_device_aio: got '{}', want threads, native or io_uring",
                                 hypervisor.block_device_aio));
  }
  if (!one_of(hypervisor.block_device_driver, {"virtio-blk-pci", "virtio-blk", "virtio-scsi"})) {
    faults.push_back(fmt::format("block_device_driver: got '{}', want virtio-blk-pci",
                                 hypervisor.block_device_driver));
  }
  if (!one_of(hypervisor.machine_type, {"q35", "pc", "microvm"})) {
    faults.push_back(fmt::format("machine_type: got '{}', want q35", hypervisor.machine_type));
  }
  constexpr std::uint64_t kMaxQueues = 64;
  if (hypervisor.network_queues == 0 || hypervisor.network_queues > kMaxQueues) {
    faults.push_back(
        fmt::format("network_queues: got {}, want 1 to {}", hypervisor.network_queues, kMaxQueues));
  }
}

}  // namespace

std::string_view tee_name(Tee tee) {
  switch (tee) {
    case Tee::kNone:
      return "none";
    case Tee::kSnp:
      return "snp";
    case Tee::kTdx:
      return "tdx";
    case Tee::kTpm:
      return "tpm";
    case Tee::kSample:
      return "sample";
  }
  return "?";
}

std::string_view accelerator_name(Accelerator accelerator) {
  switch (accelerator) {
    case Accelerator::kAuto:
      return "auto";
    case Accelerator::kKvm:
      return "kvm";
    case Accelerator::kTcg:
      return "tcg";
  }
  return "?";
}

std::string_view shared_fs_name(SharedFs shared_fs) {
  switch (shared_fs) {
    case SharedFs::kNone:
      return "none";
    case SharedFs::kVirtioFs:
      return "virtio-fs";
    case SharedFs::kVirtio9p:
      return "virtio-9p";
  }
  return "?";
}

std::string_view network_model_name(NetworkModel model) {
  switch (model) {
    case NetworkModel::kTcFilter:
      return "tcfilter";
    case NetworkModel::kMacvtap:
      return "macvtap";
    case NetworkModel::kNone:
      return "none";
  }
  return "?";
}

Result<Tee> resolve_tee(const HypervisorConfig& config, const HostTees& host) {
  switch (config.tee) {
    case TeeSetting::kNone:
      return Tee::kNone;
    case TeeSetting::kSnp:
      return need(host.snp || config.tee_emulation, Tee::kSnp, kNoSnp);
    case TeeSetting::kTdx:
      return need(host.tdx || config.tee_emulation, Tee::kTdx, kNoTdx);
    case TeeSetting::kTpm:
      return need(config.tee_emulation, Tee::kTpm, kEmulatedOnly);
    case TeeSetting::kSample:
      return need(config.tee_emulation, Tee::kSample, kEmulatedOnly);
    case TeeSetting::kUnset:
      break;
  }
  if (!config.confidential_guest) return Tee::kNone;
  if (host.tdx && !config.sev_snp_guest) return Tee::kTdx;
  if (host.snp && config.sev_snp_guest) return Tee::kSnp;
  if (host.snp) {
    return fail(Code::kFailedPrecondition,
                "confidential_guest = true: this host has SEV-SNP; set sev_snp_guest = true (plain "
                "SEV is not supported)");
  }
  return fail(Code::kFailedPrecondition,
              "confidential_guest = true: this host has no TEE that can run it, and a plain VM is "
              "never started in its place (see 'coffer check'; to run without protection set "
              "confidential_guest = false)");
}

Status validate(const Config& config) {
  std::vector<std::string> faults;
  check_hypervisor(faults, config.hypervisor);
  if (config.agent.server_port == 0) faults.emplace_back("server_port: got 0");
  if (!one_of(config.agent.log_level,
              {"trace", "debug", "info", "warn", "error", "fatal", "off"})) {
    faults.push_back(
        fmt::format("log_level: got '{}', want trace to error", config.agent.log_level));
  }
  if (config.runtime.disable_new_netns &&
      config.runtime.internetworking_model != NetworkModel::kNone) {
    faults.emplace_back("disable_new_netns: needs internetworking_model = \"none\"");
  }
  if (faults.empty()) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("configuration '{}': {}", config.file.native(), fmt::join(faults, "; ")));
}

}  // namespace coffer::shim
