// Firmware images are files that somebody hands us: footer, SEV metadata, and the digest of a
// launch.
#include <cstddef>
#include <cstdint>

#include "tee/sev-snp/launch_digest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const BytesView image(data, size);
  const auto metadata = snp::parse_sev_metadata(image);
  if (!metadata) return 0;
  std::uint64_t pages = 0;
  constexpr std::uint64_t kPage = 4096;
  for (const auto& section : metadata->sections) pages += section.size / kPage;
  // A section may be as large as the guest's low memory: legal, and too slow for a fuzzer.
  constexpr std::uint64_t kMaxPages = 64;
  if (pages > kMaxPages) return 0;
  const auto hashes = snp::hash_kernel({}, {}, "a");
  for (const auto vmm : {snp::Vmm::kQemu, snp::Vmm::kEc2, snp::Vmm::kGce, snp::Vmm::kKrun}) {
    const snp::GuestCpus cpus{.count = 2, .vmm = vmm};
    static_cast<void>(
        snp::snp_launch_digest({.firmware = {}, .metadata = *metadata, .kernel = hashes}, cpus));
  }
  static_cast<void>(snp::sev_es_digest(image, hashes, {.count = 1}));
  return 0;
}
