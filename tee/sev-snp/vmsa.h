// The save area of a vCPU at launch, which SEV-ES and SNP measure.
//
// Layout: AMD64 Architecture Programmer's Manual volume 2 (24593 rev 3.42), table B-4 "VMSA layout,
// state save area for SEV-ES". Values: what each VMM sets.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::snp {

inline constexpr std::size_t kVmsaSize = 4096;

enum class Vmm : std::uint8_t { kQemu, kEc2, kGce, kKrun };
// "QEMU", "ec2", "gce", "krun", in any case; kInvalidArgument for another.
[[nodiscard]] Result<Vmm> vmm_by_name(std::string_view name);

// Where the boot processor starts: the reset vector.
inline constexpr std::uint32_t kBspEip = 0xFFFFFFF0;

struct VmsaInput {
  Vmm vmm = Vmm::kQemu;
  bool boot_processor = true;
  std::uint32_t eip = kBspEip;       // an AP's comes from the firmware's reset block
  std::uint32_t vcpu_signature = 0;  // QEMU only
  std::uint64_t sev_features = 0;    // SEV_FEATURES; 0 for SEV-ES
};
[[nodiscard]] Bytes vmsa_page(const VmsaInput& input);
// COCONUT-SVSM starts in 32-bit protected mode at `rip`.
[[nodiscard]] Bytes svsm_vmsa_page(std::uint32_t rip, std::uint32_t vcpu_signature);

}  // namespace coffer::snp
