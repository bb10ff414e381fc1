// Which confidential VMs this host's kernel says it can run.
#pragma once

#include <cstdint>
#include <filesystem>

namespace coffer::host {

struct Tees {
  bool snp = false;  // /sys/module/kvm_amd/parameters/sev_snp is Y or 1
  bool tdx = false;  // /sys/module/kvm_intel/parameters/tdx is Y or 1
};

// `root` stands for "/".
[[nodiscard]] Tees detect_tees(const std::filesystem::path& root = "/");

// AMD APM volume 3, CPUID Fn8000_001F: EBX[5:0] is the C-bit's position, EBX[11:6] the physical
// address bits it costs. Zeros where the processor has no memory encryption.
struct SevAddressing {
  std::uint32_t cbitpos = 0;
  std::uint32_t reduced_phys_bits = 0;
};
[[nodiscard]] SevAddressing sev_addressing();

// Processors this process may run on, and the machine's memory in MiB.
[[nodiscard]] std::uint32_t cpu_count();
[[nodiscard]] std::uint64_t memory_mib();

}  // namespace coffer::host
