#include "tee/tdx/tdvf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/byte_reader.h"
#include "tee/firmware_footer.h"

namespace coffer::tdx {
namespace {

constexpr std::string_view kTdxOffsetGuid = "e47a6535-984a-4798-865e-4685a7bf8ec2";
constexpr std::string_view kTdxMetadataGuid = "e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae";
constexpr std::size_t kGuidSize = 16;

constexpr std::size_t kTdShimOffset = 32;  // td-shim: u32 offset at image end - 0x20
constexpr std::size_t kDescriptor = 16;
constexpr std::size_t kSectionSize = 32;
constexpr std::uint32_t kMaxSections = 64;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMaxMemory = std::uint64_t{256} << 20U;
constexpr std::uint64_t kMaxSection = std::uint64_t{1} << 40U;
constexpr std::uint32_t kLastType = 8;

std::unexpected<Error> bad(std::string_view field, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse TDVF image: {}: {}", field, why));
}

// Where the descriptor starts: OVMF's table says it, or td-shim's last 32 bytes do.
Result<std::size_t> descriptor_offset(BytesView image) {
  COFFER_TRY(const auto footer, tee::FirmwareFooter::parse(image));
  COFFER_TRY(const auto found, footer.metadata(kTdxOffsetGuid));
  if (found) {
    const std::size_t offset = image.size() - found->size();
    if (offset < kGuidSize ||
        tee::uefi_guid_text(image.subspan(offset - kGuidSize, kGuidSize)) != kTdxMetadataGuid) {
      return bad("TDX metadata", "its GUID does not stand before it");
    }
    return offset;
  }
  if (image.size() < kTdShimOffset) return bad("image", "too small");
  ByteReader reader(image.last(kTdShimOffset), "td-shim metadata offset");
  COFFER_TRY(const std::uint32_t offset, reader.u32_le());
  if (offset > image.size() - kTdShimOffset ||
      !as_text(image.subspan(offset)).starts_with("TDVF")) {
    return bad("image", "has no TDX metadata (is it an OVMF built for TDX?)");
  }
  return std::size_t{offset};
}

Result<TdvfSection> read_section(ByteReader& reader) {
  TdvfSection section;
  COFFER_TRY(section.data_offset, reader.u32_le());
  COFFER_TRY(section.raw_size, reader.u32_le());
  COFFER_TRY(section.address, reader.u64_le());
  COFFER_TRY(section.size, reader.u64_le());
  COFFER_TRY(const std::uint32_t type, reader.u32_le());
  COFFER_TRY(section.attributes, reader.u32_le());
  if (type > kLastType) return bad("section type", fmt::format("got {}, want 0 to 8", type));
  section.type = TdvfSectionType{type};
  return section;
}

Status check_section(const TdvfSection& section, std::size_t image_size) {
  if ((section.attributes & ~(kTdvfMrExtend | kTdvfPageAug)) != 0) {
    return bad("section attributes", fmt::format("unknown bits in {:#x}", section.attributes));
  }
  if (section.address % kPage != 0 || section.size % kPage != 0) {
    return bad("section memory",
               fmt::format("{:#x}+{:#x} is not of whole pages", section.address, section.size));
  }
  if (section.size > kMaxSection || section.address > UINT64_MAX - section.size) {
    return bad("section memory",
               fmt::format("{:#x}+{:#x} is too large", section.address, section.size));
  }
  if (section.raw_size > section.size) {
    return bad("section data",
               fmt::format("{:#x} bytes in {:#x} of memory", section.raw_size, section.size));
  }
  if (std::uint64_t{section.data_offset} + section.raw_size > image_size) {
    return bad("section data", fmt::format("{:#x}+{:#x} is outside the image", section.data_offset,
                                           section.raw_size));
  }
  return {};
}

Status check_together(const std::vector<TdvfSection>& sections) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const TdvfSection& a = sections[i];
    if (!a.augmented() || a.extended()) total += a.size;
    for (std::size_t j = 0; j < i; ++j) {
      const TdvfSection& b = sections[j];
      if (a.address < b.address + b.size && b.address < a.address + a.size) {
        return bad("sections", fmt::format("{} and {} overlap", j, i));
      }
    }
  }
  if (total > kMaxMemory) return bad("sections", "more than 256 MiB of measured memory");
  return {};
}

}  // namespace

std::string_view section_type_name(TdvfSectionType type) {
  static constexpr std::array<std::string_view, kLastType + 1> kNames = {
      "BFV",     "CFV",          "TD_HOB",  "TempMem",  "PermMem",
      "Payload", "PayloadParam", "TD_INFO", "TD_PARAMS"};
  const auto index = static_cast<std::uint32_t>(type);
  return index < kNames.size() ? kNames[index] : "unknown";
}

Result<std::vector<TdvfSection>> parse_tdvf(BytesView image) {
  COFFER_TRY(const std::size_t offset, descriptor_offset(image));
  ByteReader reader(image.subspan(offset), "TDVF descriptor");
  COFFER_TRY(const BytesView signature, reader.take(4));
  if (as_text(signature) != "TDVF") return bad("descriptor signature", "is not 'TDVF'");
  COFFER_TRY(const std::uint32_t length, reader.u32_le());
  COFFER_TRY(const std::uint32_t version, reader.u32_le());
  COFFER_TRY(const std::uint32_t count, reader.u32_le());
  if (version != 1) return bad("descriptor version", fmt::format("got {}, want 1", version));
  if (count == 0 || count > kMaxSections) {
    return bad("section count", fmt::format("got {}, want 1 to {}", count, kMaxSections));
  }
  if (length != kDescriptor + kSectionSize * count) {
    return bad("descriptor length", fmt::format("got {}, want {} for {} sections", length,
                                                kDescriptor + kSectionSize * count, count));
  }
  std::vector<TdvfSection> sections;
  for (std::uint32_t i = 0; i < count; ++i) {
    COFFER_TRY(sections.emplace_back(), read_section(reader));
    COFFER_TRY_VOID(check_section(sections.back(), image.size()));
  }
  COFFER_TRY_VOID(check_together(sections));
  return sections;
}

}  // namespace coffer::tdx
