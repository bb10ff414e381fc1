#include "tee/tdx/mrtd.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "tee/tdx/tdvf.h"

namespace coffer::tdx {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kChunk = 256;
constexpr std::size_t kBlock = 128;
constexpr std::size_t kGpaOffset = 16;

class Measurement {
 public:
  // The 128-byte block that stands for one call: its name, and the guest physical address.
  void record(std::string_view call, std::uint64_t gpa) {
    std::array<std::uint8_t, kBlock> block{};
    std::ranges::copy(as_bytes(call), block.begin());
    for (std::size_t i = 0; i < sizeof gpa; ++i) {
      block[kGpaOffset + i] = static_cast<std::uint8_t>(gpa >> (8 * i));
    }
    hasher_.update(block);
  }

  void add_page(std::uint64_t gpa) { record("MEM.PAGE.ADD", gpa); }

  void extend_page(std::uint64_t gpa, std::span<const std::uint8_t, kPage> page) {
    for (std::size_t at = 0; at < kPage; at += kChunk) {
      record("MR.EXTEND", gpa + at);
      hasher_.update(page.subspan(at, kChunk));
    }
  }

  tee::Digest384 finish() {
    tee::Digest384 digest{};
    hasher_.finish(digest);
    return digest;
  }

 private:
  tee::Hasher hasher_{tee::HashAlgorithm::kSha384};
};

// Page `offset` of the section as it is loaded: data, then zeros.
std::array<std::uint8_t, kPage> page_at(BytesView data, std::size_t offset) {
  std::array<std::uint8_t, kPage> page{};
  if (offset < data.size()) {
    const BytesView part = data.subspan(offset, std::min(kPage, data.size() - offset));
    std::ranges::copy(part, page.begin());
  }
  return page;
}

void measure_section(Measurement& measurement, const TdvfSection& section, BytesView image,
                     MrtdOrder order) {
  const BytesView data = section.data(image);
  const bool interleaved = order == MrtdOrder::kSinglePass;
  for (std::uint64_t at = 0; at < section.size; at += kPage) {
    if (!section.augmented()) measurement.add_page(section.address + at);
    if (interleaved && section.extended()) {
      measurement.extend_page(section.address + at, page_at(data, at));
    }
  }
  if (interleaved || !section.extended()) return;
  for (std::uint64_t at = 0; at < section.size; at += kPage) {
    measurement.extend_page(section.address + at, page_at(data, at));
  }
}

}  // namespace

Result<tee::Digest384> compute_mrtd(BytesView firmware, MrtdOrder order) {
  COFFER_TRY(const auto sections, parse_tdvf(firmware));
  Measurement measurement;
  for (const auto& section : sections) measure_section(measurement, section, firmware, order);
  return measurement.finish();
}

}  // namespace coffer::tdx
