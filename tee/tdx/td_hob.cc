#include "tee/tdx/td_hob.h"

#include <algorithm>

namespace coffer::tdx {
namespace {

constexpr unsigned kTypeHandoff = 1;
constexpr unsigned kTypeResource = 3;
constexpr unsigned kHandoffSize = 56;
constexpr unsigned kResourceSize = 48;
constexpr unsigned kEndSize = 8;
constexpr std::uint32_t kHandoffVersion = 9;
constexpr std::uint32_t kSystemMemory = 0;
constexpr std::uint32_t kUnaccepted = 7;
constexpr std::uint32_t kAttributes = 7;  // PRESENT, INITIALIZED, TESTED
// QEMU q35: memory from this size on is split below and above 4 GiB.
constexpr std::uint64_t kSplitFrom = 0xb0000000;
constexpr std::uint64_t kLowMemory = 0x80000000;
constexpr std::uint64_t kFourGib = std::uint64_t{4} << 30U;

struct Range {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};

void put(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put_header(Bytes& out, unsigned type, unsigned size) {
  put(out, type, 2);
  put(out, size, 2);
  put(out, 0, 4);
}

void put_resource(Bytes& out, std::uint32_t type, const Range& range) {
  put_header(out, kTypeResource, kResourceSize);
  put(out, 0, 8);  // owner GUID
  put(out, 0, 8);
  put(out, type, 4);
  put(out, kAttributes, 4);
  put(out, range.start, 8);
  put(out, range.end - range.start, 8);
}

// What the VMM adds before the TD runs: accepted from the start.
std::vector<Range> accepted_ranges(std::span<const TdvfSection> sections) {
  std::vector<Range> ranges;
  for (const auto& section : sections) {
    const bool ram = section.type == TdvfSectionType::kTempMemory ||
                     section.type == TdvfSectionType::kTdHob ||
                     section.type == TdvfSectionType::kPermMemory;
    if (ram && !section.augmented())
      ranges.push_back({section.address, section.address + section.size});
  }
  std::ranges::sort(ranges, {}, &Range::start);
  return ranges;
}

std::vector<Range> memory_ranges(std::uint64_t memory) {
  if (memory < kSplitFrom) return {{0, memory}};
  return {{0, kLowMemory}, {kFourGib, kFourGib + memory - kLowMemory}};
}

}  // namespace

Result<Bytes> build_td_hob(std::span<const TdvfSection> sections, std::uint64_t memory) {
  const auto hob = std::ranges::find(sections, TdvfSectionType::kTdHob, &TdvfSection::type);
  if (hob == sections.end()) {
    return fail(Code::kInvalidArgument, "build TD HOB: the firmware has no TD_HOB section");
  }
  const auto accepted = accepted_ranges(sections);
  const auto ram = memory_ranges(memory);
  if (!accepted.empty() && accepted.back().end > ram.front().end) {
    return fail(Code::kInvalidArgument, "build TD HOB: the firmware does not fit the memory");
  }
  Bytes resources;
  std::uint64_t at = 0;
  for (const Range& range : accepted) {
    if (at < range.start) put_resource(resources, kUnaccepted, {at, range.start});
    put_resource(resources, kSystemMemory, range);
    at = range.end;
  }
  if (at < ram.front().end) put_resource(resources, kUnaccepted, {at, ram.front().end});
  if (ram.size() > 1) put_resource(resources, kUnaccepted, ram.back());

  Bytes out;
  put_header(out, kTypeHandoff, kHandoffSize);
  put(out, kHandoffVersion, 4);
  put(out, 0, 4);  // boot mode
  for (int i = 0; i < 4; ++i) put(out, 0, 8);
  put(out, hob->address + kHandoffSize + resources.size() + kEndSize, 8);
  out.insert(out.end(), resources.begin(), resources.end());
  return out;
}

}  // namespace coffer::tdx
