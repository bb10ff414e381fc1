#include "tee/sev-snp/launch_digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace coffer::snp {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kFourGiB = std::uint64_t{1} << 32U;
constexpr std::uint64_t kVmsaGpa = 0xFFFFFFFFF000;
constexpr std::uint32_t kMaxVcpus = 65535;

// PAGE_INFO, table 67.
constexpr std::size_t kInfoSize = 0x70, kInfoContents = 0x30, kInfoLength = 0x60, kInfoType = 0x62,
                      kInfoGpa = 0x68;

std::unexpected<Error> cannot(std::string_view why) {
  return fail(Code::kFailedPrecondition, fmt::format("measure launch: {}", why));
}

Status check_image(BytesView image, std::string_view what) {
  if (image.empty() || image.size() % kPage != 0 || image.size() >= kFourGiB) {
    return fail(Code::kInvalidArgument,
                fmt::format("measure {}: {} bytes, want whole pages of 4096 below 4 GiB", what,
                            image.size()));
  }
  return {};
}

Status check_cpus(const GuestCpus& cpus) {
  if (cpus.count >= 1 && cpus.count <= kMaxVcpus) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("measure launch: {} vCPUs, want 1..{}", cpus.count, kMaxVcpus));
}

// Sections in table order. EC2 adds the CPUID page after all others.
Status add_sections(const SnpLaunch& launch, Vmm vmm, PageChain& chain) {
  using Type = PageChain::PageType;
  for (const auto& section : launch.metadata.sections) {
    switch (section.type) {
      case SectionType::kSnpSecMem:
        chain.add_blank(vmm == Vmm::kGce ? Type::kUnmeasured : Type::kZero, section.gpa,
                        section.size);
        break;
      case SectionType::kSvsmCaa:
        chain.add_blank(Type::kZero, section.gpa, section.size);
        break;
      case SectionType::kSecrets:
        chain.add_blank(Type::kSecrets, section.gpa, section.size);
        break;
      case SectionType::kCpuid:
        if (vmm != Vmm::kEc2) chain.add_blank(Type::kCpuid, section.gpa, section.size);
        break;
      case SectionType::kKernelHashes:
        if (launch.kernel) {
          chain.add_normal(section.gpa,
                           kernel_hashes_page(*launch.kernel, *launch.metadata.hashes_table_gpa));
        } else {
          chain.add_blank(Type::kZero, section.gpa, section.size);
        }
        break;
    }
  }
  if (vmm != Vmm::kEc2) return {};
  for (const auto& section : launch.metadata.sections) {
    if (section.type == SectionType::kCpuid)
      chain.add_blank(Type::kCpuid, section.gpa, section.size);
  }
  return {};
}

// A kernel whose hashes have no place would boot unmeasured.
Status check_kernel(const SnpLaunch& launch) {
  if (!launch.kernel) return {};
  if (!launch.metadata.has(SectionType::kKernelHashes) || !launch.metadata.hashes_table_gpa) {
    return cannot("the firmware has no place for kernel hashes (use an AmdSev build of OVMF)");
  }
  const std::uint32_t table = *launch.metadata.hashes_table_gpa;
  const bool inside = std::ranges::any_of(launch.metadata.sections, [&](const Section& section) {
    return section.type == SectionType::kKernelHashes && table >= section.gpa &&
           std::uint64_t{table} + kKernelHashesSize <= std::uint64_t{section.gpa} + section.size;
  });
  if (!inside) return cannot("the firmware's hash table lies outside of its section");
  return {};
}

// The boot processor's and an application processor's page.
struct VmsaPages {
  Bytes boot, application;
};

Result<VmsaPages> vmsa_pages(const GuestCpus& cpus, const SevMetadata& metadata,
                             std::uint64_t features) {
  if (cpus.count > 1 && !metadata.ap_reset_eip) {
    return cannot("the firmware has no SEV-ES reset block, so only one vCPU can start");
  }
  VmsaInput input{.vmm = cpus.vmm,
                  .boot_processor = true,
                  .eip = kBspEip,
                  .vcpu_signature = cpus.signature,
                  .sev_features = features};
  VmsaPages out;
  out.boot = vmsa_page(input);
  input.boot_processor = false;
  input.eip = metadata.ap_reset_eip.value_or(0);
  out.application = vmsa_page(input);
  return out;
}

void add_vmsas(PageChain& chain, BytesView boot, BytesView application, std::uint32_t count) {
  chain.add_vmsa(kVmsaGpa, tee::sha384(boot));
  if (count == 1) return;
  const tee::Digest384 digest = tee::sha384(application);
  for (std::uint32_t i = 1; i < count; ++i) chain.add_vmsa(kVmsaGpa, digest);
}

Status add_kernel_table(BytesView firmware, const std::optional<KernelHashes>& kernel,
                        tee::Hasher& hasher) {
  hasher.update(firmware);
  if (!kernel) return {};
  COFFER_TRY(const SevMetadata metadata, parse_sev_metadata(firmware));
  if (!metadata.hashes_table_gpa) {
    return cannot("the firmware has no place for kernel hashes (use an AmdSev build of OVMF)");
  }
  hasher.update(kernel_hashes_table(*kernel));
  return {};
}

}  // namespace

PageChain::PageChain(const LaunchDigest& start)
    : hasher_(tee::HashAlgorithm::kSha384), digest_(start) {}

void PageChain::add(PageType type, std::uint64_t gpa, const tee::Digest384& contents) {
  std::array<std::uint8_t, kInfoSize> info{};
  std::memcpy(info.data(), digest_.data(), digest_.size());
  std::memcpy(info.data() + kInfoContents, contents.data(), contents.size());
  info[kInfoLength] = kInfoSize;
  info[kInfoType] = static_cast<std::uint8_t>(type);
  for (std::size_t i = 0; i < sizeof(gpa); ++i) {
    info[kInfoGpa + i] = static_cast<std::uint8_t>(gpa >> (8 * i));
  }
  hasher_.update(info).finish(digest_);
}

void PageChain::add_normal(std::uint64_t gpa, BytesView bytes) {
  check(bytes.size() % kPage == 0, "content is no whole number of pages");
  tee::Digest384 contents{};
  BytesView last;
  for (; !bytes.empty(); bytes = bytes.subspan(kPage), gpa += kPage) {
    const BytesView page = bytes.first(kPage);
    // Firmware images hold long runs of the same filler page: its digest is known already.
    if (last.empty() || std::memcmp(last.data(), page.data(), kPage) != 0) {
      hasher_.update(page).finish(contents);
    }
    last = page;
    add(PageType::kNormal, gpa, contents);
  }
}

void PageChain::add_vmsa(std::uint64_t gpa, const tee::Digest384& page_digest) {
  add(PageType::kVmsa, gpa, page_digest);
}

void PageChain::add_blank(PageType type, std::uint64_t gpa, std::uint64_t size) {
  for (std::uint64_t at = 0; at < size; at += kPage) add(type, gpa + at, {});
}

Result<LaunchDigest> measure_firmware(BytesView image) {
  COFFER_TRY_VOID(check_image(image, "firmware"));
  PageChain chain;
  chain.add_normal(kFourGiB - image.size(), image);
  return chain.digest();
}

Result<LaunchDigest> snp_launch_digest(const SnpLaunch& launch, const GuestCpus& cpus) {
  COFFER_TRY_VOID(check_cpus(cpus));
  COFFER_TRY_VOID(check_kernel(launch));
  PageChain chain(launch.firmware);
  COFFER_TRY_VOID(add_sections(launch, cpus.vmm, chain));
  COFFER_TRY(const VmsaPages pages, vmsa_pages(cpus, launch.metadata, cpus.sev_features));
  add_vmsas(chain, pages.boot, pages.application, cpus.count);
  return chain.digest();
}

Result<LaunchDigest> svsm_launch_digest(BytesView ovmf, BytesView svsm, std::uint64_t vars_size,
                                        const GuestCpus& cpus) {
  COFFER_TRY_VOID(check_image(ovmf, "firmware"));
  COFFER_TRY_VOID(check_image(svsm, "SVSM"));
  COFFER_TRY_VOID(check_cpus(cpus));
  if (vars_size % kPage != 0 || vars_size > kFourGiB - ovmf.size() - svsm.size()) {
    return cannot(fmt::format("{} bytes of variables do not fit below the firmware", vars_size));
  }
  SnpLaunch launch;
  COFFER_TRY(launch.metadata, parse_sev_metadata(svsm));
  if (!launch.metadata.svsm_launch_offset || *launch.metadata.svsm_launch_offset >= svsm.size()) {
    return cannot("the SVSM image names no launch offset within itself");
  }
  const std::uint64_t svsm_gpa = kFourGiB - ovmf.size() - vars_size - svsm.size();
  PageChain chain;
  chain.add_normal(kFourGiB - ovmf.size(), ovmf);
  chain.add_normal(svsm_gpa, svsm);
  COFFER_TRY_VOID(add_sections(launch, Vmm::kQemu, chain));
  const auto rip = static_cast<std::uint32_t>(svsm_gpa + *launch.metadata.svsm_launch_offset);
  const Bytes page = svsm_vmsa_page(rip, cpus.signature);
  add_vmsas(chain, page, page, cpus.count);
  return chain.digest();
}

Result<tee::Digest256> sev_digest(BytesView firmware, const std::optional<KernelHashes>& kernel) {
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  COFFER_TRY_VOID(add_kernel_table(firmware, kernel, hasher));
  tee::Digest256 out{};
  hasher.finish(out);
  return out;
}

Result<tee::Digest256> sev_es_digest(BytesView firmware, const std::optional<KernelHashes>& kernel,
                                     const GuestCpus& cpus) {
  COFFER_TRY_VOID(check_cpus(cpus));
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  COFFER_TRY_VOID(add_kernel_table(firmware, kernel, hasher));
  COFFER_TRY(const SevMetadata metadata, parse_sev_metadata(firmware));
  COFFER_TRY(const VmsaPages pages, vmsa_pages(cpus, metadata, 0));
  hasher.update(pages.boot);
  for (std::uint32_t i = 1; i < cpus.count; ++i) hasher.update(pages.application);
  tee::Digest256 out{};
  hasher.finish(out);
  return out;
}

}  // namespace coffer::snp
