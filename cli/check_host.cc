#include "cli/check_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <optional>

#include "base/fd.h"
#include "base/subprocess.h"

namespace coffer::cli {
namespace {

using shim::HypervisorConfig;
using shim::TeeSetting;
using State = Finding::State;

constexpr auto kQemuTimeout = std::chrono::seconds(30);

bool opens(const char* path) { return open_file(path, O_RDWR).has_value(); }

Result<std::string> output_of(std::vector<std::string> argv) {
  asio::io_context context(1);
  std::optional<Result<RunResult>> result;
  SpawnOptions options;
  options.argv = std::move(argv);
  RunOptions limits;
  limits.deadline = deadline_in(kQemuTimeout);
  const auto body = [&]() -> Task<void> {
    auto ran = co_await run(options, limits);
    result.emplace(std::move(ran));
  };
  asio::co_spawn(context, body, [](const std::exception_ptr&) {});
  context.run();
  if (!result) return fail(Code::kInternal, "the program was not run");
  if (!*result) return fail(result->error());
  const RunResult& run_result = **result;
  if (run_result.status.as_shell() != 0) {
    return fail(
        Code::kFailedPrecondition,
        fmt::format("exited with status {}: {}", run_result.status.as_shell(), run_result.err));
  }
  return run_result.out;
}

bool wants(const HypervisorConfig& config, TeeSetting tee) {
  return config.tee == tee && !config.tee_emulation;
}

bool wants_any_tee(const HypervisorConfig& config) {
  return wants(config, TeeSetting::kSnp) || wants(config, TeeSetting::kTdx) ||
         (config.tee == TeeSetting::kUnset && config.confidential_guest);
}

State lack(bool needed) { return needed ? State::kFail : State::kNote; }

Finding kvm_finding(const HypervisorConfig& config, const HostFacts& facts) {
  if (facts.kvm.usable) return {"kvm", State::kPass, "KVM runs a guest", ""};
  const bool needed = config.accelerator == shim::Accelerator::kKvm || wants_any_tee(config);
  return {"kvm", lack(needed), facts.kvm.reason,
          needed ? "use a host whose KVM runs guests (bare metal, or nested virtualisation in full)"
                 : "pods are emulated by TCG, which is slow"};
}

Finding vsock_finding(const HostFacts& facts) {
  if (facts.vhost_vsock) return {"vhost-vsock", State::kPass, "/dev/vhost-vsock works", ""};
  return {"vhost-vsock", State::kNote, "/dev/vhost-vsock cannot be opened",
          "the agent is reached by virtio-serial; for vsock: modprobe vhost_vsock"};
}

Finding network_finding(const HostFacts& facts) {
  if (!facts.tun) {
    return {"network", State::kFail, "/dev/net/tun cannot be opened", "modprobe tun; run as root"};
  }
  return {"network", State::kPass,
          facts.vhost_net ? "/dev/net/tun and /dev/vhost-net work"
                          : "/dev/net/tun works; no /dev/vhost-net (virtio-net runs in QEMU)",
          ""};
}

// "QEMU emulator version 10.0.2 (Debian ...)" -> {10, 0}.
std::optional<std::pair<int, int>> version_of(std::string_view text) {
  constexpr std::string_view kMark = "version ";
  const std::size_t at = text.find(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + kMark.size());
  int major = 0;
  int minor = 0;
  const auto first = std::from_chars(text.data(), text.data() + text.size(), major);
  if (first.ec != std::errc{} || first.ptr == text.data() + text.size() || *first.ptr != '.') {
    return std::nullopt;
  }
  const auto second = std::from_chars(first.ptr + 1, text.data() + text.size(), minor);
  if (second.ec != std::errc{}) return std::nullopt;
  return std::pair(major, minor);
}

Finding qemu_finding(const HypervisorConfig& config, const HostFacts& facts) {
  constexpr std::pair kOldest{7, 2};
  if (!facts.qemu.error.empty()) {
    return {"qemu", State::kFail, fmt::format("{}: {}", config.path, facts.qemu.error),
            "install qemu-system-x86_64, or set 'path'"};
  }
  const std::string line = facts.qemu.version.substr(0, facts.qemu.version.find('\n'));
  const auto version = version_of(facts.qemu.version);
  if (!version) return {"qemu", State::kFail, fmt::format("'{}' is no QEMU", line), "set 'path'"};
  if (*version < kOldest) {
    return {"qemu", State::kFail, line, "7.2 or later is needed; 9.1 for SNP, 10.1 for TDX"};
  }
  return {"qemu", State::kPass, line, ""};
}

bool lists(const std::string& help, std::string_view name) {
  return help.find(name) != std::string::npos;
}

Finding snp_finding(const HypervisorConfig& config, const HostFacts& facts) {
  const bool needed = wants(config, TeeSetting::kSnp);
  if (!facts.tees.snp) {
    return {"sev-snp", lack(needed), "/sys/module/kvm_amd/parameters/sev_snp is not Y",
            "needs an EPYC 7003 or later, SNP enabled in the BIOS, kernel 6.11 or later with "
            "kvm_amd.sev_snp=1"};
  }
  if (!facts.dev_sev) {
    return {"sev-snp", lack(needed), "/dev/sev cannot be opened", "modprobe ccp; run as root"};
  }
  if (!lists(facts.qemu.objects, "sev-snp-guest")) {
    return {"sev-snp", lack(needed), "QEMU has no object sev-snp-guest", "QEMU 9.1 or later"};
  }
  return {"sev-snp", State::kPass, "kernel, firmware device and QEMU are ready", ""};
}

Finding tdx_finding(const HypervisorConfig& config, const HostFacts& facts) {
  const bool needed = wants(config, TeeSetting::kTdx);
  if (!facts.tees.tdx) {
    return {
        "tdx", lack(needed), "/sys/module/kvm_intel/parameters/tdx is not Y",
        "needs a Xeon with TDX enabled in the BIOS and kernel 6.16 or later with kvm_intel.tdx=1"};
  }
  if (!lists(facts.qemu.objects, "tdx-guest")) {
    return {"tdx", lack(needed), "QEMU has no object tdx-guest", "QEMU 10.1 or later"};
  }
  return {"tdx", State::kPass, "kernel and QEMU are ready", ""};
}

Finding share_finding(const HypervisorConfig& config, const HostFacts& facts) {
  if (config.shared_fs == shim::SharedFs::kNone) {
    return {"shared files", State::kPass, "none: images are pulled in the guest", ""};
  }
  const bool daemon = ::access(config.virtio_fs_daemon.c_str(), X_OK) == 0;
  if (config.shared_fs == shim::SharedFs::kVirtioFs && daemon) {
    return {"shared files", State::kPass, "virtio-fs by " + config.virtio_fs_daemon, ""};
  }
  if (!lists(facts.qemu.devices, "virtio-9p-pci")) {
    return {"shared files", State::kFail, "neither virtiofsd nor 9p in QEMU",
            "install virtiofsd, or a QEMU with virtfs"};
  }
  return {"shared files", State::kPass,
          config.shared_fs == shim::SharedFs::kVirtioFs
              ? fmt::format("virtio-9p, for there is no {}", config.virtio_fs_daemon)
              : "virtio-9p",
          ""};
}

// A bzImage ("HdrS" at 0x202: Documentation/arch/x86/boot.rst, section 1.1) or an ELF file.
bool is_kernel(std::string_view start) {
  constexpr std::size_t kMagicAt = 0x202;
  return start.starts_with(
             "\x7f"
             "ELF") ||
         (start.size() > kMagicAt + 4 && start.substr(kMagicAt, 4) == "HdrS");
}

Finding file_finding(const std::string& name, const std::string& path, bool kernel) {
  constexpr std::size_t kStart = 1024;
  if (path.empty()) return {name, State::kFail, "not set", fmt::format("set '{}'", name)};
  const auto fd = open_file(path, O_RDONLY);
  if (!fd) {
    return {
        name, State::kFail, fd.error().message(),
        name == "firmware" ? "install OVMF for this TEE" : "build it: coffer guest-image build"};
  }
  std::string start(kStart, '\0');
  const ssize_t count = ::pread(fd->get(), start.data(), start.size(), 0);
  start.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (start.empty()) return {name, State::kFail, path + ": empty or unreadable", "build it again"};
  if (kernel && !is_kernel(start)) {
    return {name, State::kFail, path + ": neither a bzImage nor an ELF file", "set 'kernel'"};
  }
  return {name, State::kPass, path, ""};
}

}  // namespace

std::string_view state_name(Finding::State state) {
  switch (state) {
    case State::kPass:
      return "pass";
    case State::kNote:
      return "note";
    case State::kFail:
      return "fail";
  }
  return "?";
}

QemuTexts ask_qemu(const std::string& program) {
  QemuTexts texts;
  const auto ask = [&](std::vector<std::string> arguments) -> std::string {
    arguments.insert(arguments.begin(), program);
    auto text = output_of(std::move(arguments));
    if (text) return *std::move(text);
    if (texts.error.empty()) texts.error = text.error().to_string();
    return "";
  };
  texts.version = ask({"--version"});
  if (!texts.error.empty()) return texts;
  texts.objects = ask({"-machine", "none", "-object", "help"});
  texts.devices = ask({"-machine", "none", "-device", "help"});
  return texts;
}

HostFacts look_at_host(const HypervisorConfig& config) {
  HostFacts facts;
  facts.kvm = host::probe_kvm();
  facts.tees = host::detect_tees();
  facts.vhost_vsock = opens("/dev/vhost-vsock");
  facts.vhost_net = opens("/dev/vhost-net");
  facts.tun = opens("/dev/net/tun");
  facts.dev_sev = opens("/dev/sev");
  facts.qemu = ask_qemu(config.path);
  return facts;
}

std::vector<Finding> judge_host(const HypervisorConfig& config, const HostFacts& facts) {
  std::vector<Finding> findings = {
      kvm_finding(config, facts),
      qemu_finding(config, facts),
      file_finding("kernel", config.kernel, true),
      config.initrd.empty() ? file_finding("image", config.image, false)
                            : file_finding("initrd", config.initrd, false),
  };
  if (wants_any_tee(config) || !config.firmware.empty()) {
    findings.push_back(file_finding("firmware", config.firmware, false));
  }
  findings.push_back(vsock_finding(facts));
  findings.push_back(network_finding(facts));
  findings.push_back(share_finding(config, facts));
  findings.push_back(snp_finding(config, facts));
  findings.push_back(tdx_finding(config, facts));
  if (const auto tee = shim::resolve_tee(config, {facts.tees.snp, facts.tees.tdx}); !tee) {
    findings.push_back({"class", State::kFail, tee.error().message(), ""});
  }
  return findings;
}

}  // namespace coffer::cli
