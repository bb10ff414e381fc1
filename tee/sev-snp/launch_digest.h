// What a good launch measures: the expected MEASUREMENT of an SNP guest, and the legacy digests of
// SEV and SEV-ES.
//
// SEV-SNP ABI 56860 rev 1.58, section 8.17.2 "Launch digest" and table 67 "PAGE_INFO"; launch order
// as in QEMU's target/i386/sev.c and as the other VMMs do.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/digest.h"
#include "tee/sev-snp/kernel_hashes.h"
#include "tee/sev-snp/sev_metadata.h"
#include "tee/sev-snp/vmsa.h"

namespace coffer::snp {

using LaunchDigest = tee::Digest384;

// The running digest: one update a page, in launch order.
class PageChain {
 public:
  explicit PageChain(const LaunchDigest& start = {});

  enum class PageType : std::uint8_t {
    kNormal = 1,
    kVmsa = 2,
    kZero = 3,
    kUnmeasured = 4,
    kSecrets = 5,
    kCpuid = 6,
  };
  // Whole pages of content at `gpa` upward; `bytes` is a multiple of 4096.
  void add_normal(std::uint64_t gpa, BytesView bytes);
  void add_vmsa(std::uint64_t gpa, const tee::Digest384& page_digest);
  // Pages that count by type and place only.
  void add_blank(PageType type, std::uint64_t gpa, std::uint64_t size);

  [[nodiscard]] const LaunchDigest& digest() const { return digest_; }

 private:
  void add(PageType type, std::uint64_t gpa, const tee::Digest384& contents);

  tee::Hasher hasher_;
  LaunchDigest digest_;
};

struct GuestCpus {
  std::uint32_t count = 1;      // 1..65535
  std::uint32_t signature = 0;  // CPUID leaf 1 EAX; QEMU only
  Vmm vmm = Vmm::kQemu;
  std::uint64_t sev_features = 1;  // SEV_FEATURES
};

// Where every input that does not depend on the vCPUs is spent: keep it to compute the digest of
// any number of vCPUs.
struct SnpLaunch {
  LaunchDigest firmware;  // after the firmware's pages
  SevMetadata metadata;
  std::optional<KernelHashes> kernel;
};

// Measures a firmware image (a multiple of 4 KiB, below 4 GiB). Without the image at hand,
// fill SnpLaunch from a record.
[[nodiscard]] Result<LaunchDigest> measure_firmware(BytesView image);

// The launch digest. kFailedPrecondition when the firmware cannot do what is asked: a kernel
// without a place for its hashes, APs without a reset block.
[[nodiscard]] Result<LaunchDigest> snp_launch_digest(const SnpLaunch& launch,
                                                     const GuestCpus& cpus);

// COCONUT-SVSM below OVMF: `vars_size` bytes lie between the SVSM image and OVMF.
[[nodiscard]] Result<LaunchDigest> svsm_launch_digest(BytesView ovmf, BytesView svsm,
                                                      std::uint64_t vars_size,
                                                      const GuestCpus& cpus);

// Legacy: SHA-256 over the firmware, the hash table, and for SEV-ES the VMSAs.
[[nodiscard]] Result<tee::Digest256> sev_digest(BytesView firmware,
                                                const std::optional<KernelHashes>& kernel);
[[nodiscard]] Result<tee::Digest256> sev_es_digest(BytesView firmware,
                                                   const std::optional<KernelHashes>& kernel,
                                                   const GuestCpus& cpus);

}  // namespace coffer::snp
