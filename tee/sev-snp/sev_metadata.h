// What a firmware image says about SEV: where its launch pages go and where its APs start.
//
// Layout: edk2 OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm and Ia16/ResetVectorVtf0.asm.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::snp {

enum class SectionType : std::uint32_t {
  kSnpSecMem = 1,        // validated, zero
  kSecrets = 2,          // one page
  kCpuid = 3,            // one page
  kSvsmCaa = 4,          // zero
  kKernelHashes = 0x10,  // one page, holding the hash table
};

struct Section {
  std::uint32_t gpa = 0, size = 0;  // whole 4 KiB pages
  SectionType type = SectionType::kSnpSecMem;
};

struct SevMetadata {
  std::vector<Section> sections;                    // in table order; empty without SNP support
  std::optional<std::uint32_t> ap_reset_eip;        // SEV-ES reset block
  std::optional<std::uint32_t> hashes_table_gpa;    // SEV hash table; nothing when absent or 0
  std::optional<std::uint32_t> svsm_launch_offset;  // SVSM info: entry point within the image

  [[nodiscard]] bool has(SectionType type) const;
};

// Reads the image's footer and its "ASEV" descriptor. kInvalidArgument when a size or an offset
// lies, a section is no whole number of pages, is of an unknown type, overlaps another, or more
// than one page each of SECRETS, CPUID and KERNEL_HASHES is asked for; at most 64 sections.
[[nodiscard]] Result<SevMetadata> parse_sev_metadata(BytesView image);

}  // namespace coffer::snp
