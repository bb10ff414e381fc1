#include "tee/tdx/tdvf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/byte_reader.h"

namespace coffer::tdx {
namespace {

using Guid = std::array<std::uint8_t, 16>;

// Mixed-endian as UEFI stores them.
// 96b582de-1fb2-45f7-baea-a366c55a082d
constexpr Guid kFooterGuid = {0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
                              0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d};
// e47a6535-984a-4798-865e-4685a7bf8ec2
constexpr Guid kTdxOffsetGuid = {0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47,
                                 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2};
// e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae
constexpr Guid kTdxMetadataGuid = {0xf3, 0xf9, 0xea, 0xe9, 0x8e, 0x16, 0xd5, 0x44,
                                   0xa8, 0xeb, 0x7f, 0x4d, 0x87, 0x38, 0xf6, 0xae};

constexpr std::size_t kResetStub = 32;     // after the table
constexpr std::size_t kTrailer = 2 + 16;   // u16 size, GUID: ends every entry
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

struct Entry {
  std::size_t size;
  bool guid_matches;
  BytesView data;
};

// The entry that ends at `end`, which holds all that the table has left.
Result<Entry> entry_before(BytesView table, const Guid& guid) {
  if (table.size() < kTrailer) return bad("GUIDed table", "entry is cut short");
  ByteReader reader(table.last(kTrailer), "GUIDed table entry");
  COFFER_TRY(const std::uint16_t size, reader.u16_le());
  COFFER_TRY(const BytesView id, reader.take(guid.size()));
  if (size < kTrailer || size > table.size()) {
    return bad("GUIDed table",
               fmt::format("entry size: got {}, want {} to {}", size, kTrailer, table.size()));
  }
  return Entry{size, std::ranges::equal(id, guid), table.last(size).first(size - kTrailer)};
}

// Data of the TDX entry of the GUIDed table; nullopt when there is no table or no such entry.
Result<std::optional<BytesView>> find_tdx_entry(BytesView image) {
  if (image.size() < kResetStub + kTrailer) return std::nullopt;
  BytesView rest = image.first(image.size() - kResetStub);
  auto footer = entry_before(rest, kFooterGuid);
  if (!footer || !footer->guid_matches) return std::nullopt;
  rest = rest.last(footer->size).first(footer->size - kTrailer);
  while (!rest.empty()) {
    COFFER_TRY(const Entry entry, entry_before(rest, kTdxOffsetGuid));
    if (entry.guid_matches) return entry.data;
    rest = rest.first(rest.size() - entry.size);
  }
  return std::nullopt;
}

// Where the descriptor starts.
Result<std::size_t> descriptor_offset(BytesView image) {
  COFFER_TRY(const auto entry, find_tdx_entry(image));
  if (entry) {
    ByteReader reader(*entry, "TDX metadata entry");
    COFFER_TRY(const std::uint32_t from_end, reader.u32_le());
    COFFER_TRY_VOID(reader.expect_end());
    if (from_end < kDescriptor || from_end > image.size() - kTdxMetadataGuid.size()) {
      return bad("TDX metadata offset", fmt::format("{} from the end is outside", from_end));
    }
    const std::size_t offset = image.size() - from_end;
    if (!std::ranges::equal(image.subspan(offset - 16, 16), kTdxMetadataGuid)) {
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
