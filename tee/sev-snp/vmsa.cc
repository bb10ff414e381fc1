#include "tee/sev-snp/vmsa.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace coffer::snp {
namespace {

// Offsets: table B-4.
constexpr std::size_t kEs = 0x00, kCs = 0x10, kSs = 0x20, kDs = 0x30, kFs = 0x40, kGs = 0x50,
                      kGdtr = 0x60, kLdtr = 0x70, kIdtr = 0x80, kTr = 0x90, kEfer = 0xD0,
                      kCr4 = 0x148, kCr0 = 0x158, kDr7 = 0x160, kDr6 = 0x168, kRflags = 0x170,
                      kRip = 0x178, kGpat = 0x268, kRdx = 0x310, kSevFeatures = 0x3B0,
                      kXcr0 = 0x3E8, kMxcsr = 0x408, kFcw = 0x410;

// What the VMMs set differently.
struct VmmValues {
  std::uint16_t cs_attrib, ss_attrib, tr_attrib;
  std::uint64_t g_pat, rdx;
  std::uint32_t mxcsr;
  std::uint16_t fcw;
};

constexpr std::uint64_t kPatReset = 0x0007040600070406;
constexpr std::uint64_t kPatGce = 0x00070106;
constexpr std::uint32_t kMxcsrReset = 0x1F80;
constexpr std::uint16_t kFcwReset = 0x37F;
constexpr std::uint64_t kFamilyAtReset = 0x600;

VmmValues values_of(const VmsaInput& input) {
  switch (input.vmm) {
    case Vmm::kQemu:
      return {0x9B, 0x93, 0x8B, kPatReset, input.vcpu_signature, kMxcsrReset, kFcwReset};
    case Vmm::kEc2:
      return {static_cast<std::uint16_t>(input.boot_processor ? 0x9A : 0x9B),
              0x92,
              0x83,
              kPatReset,
              kFamilyAtReset,
              0,
              0};
    case Vmm::kGce:
      return {0x9B, 0x93, 0x8B, kPatGce, kFamilyAtReset, 0, 0};
    case Vmm::kKrun:
      return {0x9A, 0x92, 0x83, kPatReset, 0, 0, 0};
  }
  return {};
}

class Page {
 public:
  void put(std::size_t at, std::uint64_t value, std::size_t size = sizeof(std::uint64_t)) {
    for (std::size_t i = 0; i < size; ++i)
      bytes_[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  // A segment slot: u16 selector, u16 attributes, u32 limit, u64 base.
  void segment(std::size_t at, std::uint16_t selector, std::uint16_t attrib, std::uint32_t limit,
               std::uint64_t base = 0) {
    put(at, selector, 2);
    put(at + 2, attrib, 2);
    put(at + 4, limit, 4);
    put(at + 8, base);
  }
  // What every VMM has alike: control registers at reset, with SVME, MCE and ET set.
  void common() {
    segment(kGdtr, 0, 0, 0xFFFF);
    segment(kIdtr, 0, 0, 0xFFFF);
    segment(kLdtr, 0, 0x82, 0xFFFF);
    put(kEfer, 0x1000);
    put(kCr4, 0x40);
    put(kDr7, 0x400);
    put(kDr6, 0xFFFF0FF0);
    put(kRflags, 2);
    put(kXcr0, 1);
  }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_ = Bytes(kVmsaSize);
};

}  // namespace

Result<Vmm> vmm_by_name(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "qemu") return Vmm::kQemu;
  if (lower == "ec2") return Vmm::kEc2;
  if (lower == "gce") return Vmm::kGce;
  if (lower == "krun") return Vmm::kKrun;
  return fail(Code::kInvalidArgument,
              fmt::format("VMM type '{}': unknown (known: QEMU, ec2, gce, krun)", name));
}

Bytes vmsa_page(const VmsaInput& input) {
  const VmmValues values = values_of(input);
  Page page;
  page.common();
  for (const std::size_t at : {kEs, kDs, kFs, kGs}) page.segment(at, 0, 0x93, 0xFFFF);
  page.segment(kCs, 0xF000, values.cs_attrib, 0xFFFF, input.eip & 0xFFFF0000U);
  page.segment(kSs, 0, values.ss_attrib, 0xFFFF);
  page.segment(kTr, 0, values.tr_attrib, 0xFFFF);
  page.put(kCr0, 0x10);
  page.put(kRip, input.eip & 0xFFFFU);
  page.put(kGpat, values.g_pat);
  page.put(kRdx, values.rdx);
  page.put(kSevFeatures, input.sev_features);
  page.put(kMxcsr, values.mxcsr, 4);
  page.put(kFcw, values.fcw, 2);
  return page.take();
}

Bytes svsm_vmsa_page(std::uint32_t rip, std::uint32_t vcpu_signature) {
  constexpr std::uint16_t kDataSelector = 16;
  constexpr std::uint16_t kCodeSelector = 8;
  Page page;
  page.common();
  for (const std::size_t at : {kEs, kSs, kDs, kFs}) {
    page.segment(at, kDataSelector, 0xC93, 0xFFFFFFFF);
  }
  page.segment(kCs, kCodeSelector, 0xC9B, 0xFFFFFFFF);
  page.segment(kGs, 0, 0x93, 0xFFFF);
  page.segment(kTr, 0, 0x8B, 0xFFFF);
  page.put(kCr0, 0x11);
  page.put(kRip, rip);
  page.put(kGpat, kPatReset);
  page.put(kRdx, vcpu_signature);
  page.put(kSevFeatures, 1);
  page.put(kMxcsr, kMxcsrReset, 4);
  return page.take();
}

}  // namespace coffer::snp
