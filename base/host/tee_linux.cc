#include <cpuid.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "base/host/tee.h"

namespace coffer::host {
namespace {

bool is_yes(const std::filesystem::path& parameter) {
  constexpr std::size_t kMax = 64;
  const auto text = read_file(parameter, kMax);
  return text && (text->starts_with('Y') || text->starts_with('1'));
}

}  // namespace

Tees detect_tees(const std::filesystem::path& root) {
  return {is_yes(root / "sys/module/kvm_amd/parameters/sev_snp"),
          is_yes(root / "sys/module/kvm_intel/parameters/tdx")};
}

SevAddressing sev_addressing() {
  constexpr unsigned kLeaf = 0x8000001f;
  constexpr unsigned kSixBits = 0x3f;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(kLeaf, &eax, &ebx, &ecx, &edx) == 0) return {};
  return {ebx & kSixBits, (ebx >> 6U) & kSixBits};
}

std::uint32_t cpu_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<std::uint32_t>(std::max(CPU_COUNT(&set), 1));
  }
  return static_cast<std::uint32_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
}

std::uint64_t memory_mib() {
  const auto pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 0L));
  const auto size = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 0L));
  return pages * size >> 20U;
}

}  // namespace coffer::host
