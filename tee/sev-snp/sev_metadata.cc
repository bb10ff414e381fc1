#include "tee/sev-snp/sev_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/byte_reader.h"
#include "tee/firmware_footer.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kResetBlock = "00f771de-1a7e-4fcb-890e-68c77e2fb44e";
constexpr std::string_view kHashTable = "7255371f-3a3b-4b04-927b-1da6efa8d454";
constexpr std::string_view kSevMetadata = "dc886566-984a-4798-a75e-5585a7bf67cc";
constexpr std::string_view kSvsmInfo = "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd";
constexpr std::uint32_t kPage = 4096;
constexpr std::uint32_t kMaxSections = 64;
constexpr std::uint32_t kHeaderSize = 16;
constexpr std::uint32_t kSectionSize = 12;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read SEV metadata: {}", why));
}

bool known_type(std::uint32_t type) {
  return (type >= static_cast<std::uint32_t>(SectionType::kSnpSecMem) &&
          type <= static_cast<std::uint32_t>(SectionType::kSvsmCaa)) ||
         type == static_cast<std::uint32_t>(SectionType::kKernelHashes);
}

Result<Section> read_section(ByteReader& reader) {
  COFFER_TRY(const std::uint32_t gpa, reader.u32_le());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(const std::uint32_t type, reader.u32_le());
  if (!known_type(type)) return bad(fmt::format("section type {:#x} is unknown", type));
  if (gpa % kPage != 0 || size % kPage != 0 || size == 0) {
    return bad(fmt::format("section {:#x}+{:#x} is no whole number of pages", gpa, size));
  }
  if (std::uint64_t{gpa} + size > (std::uint64_t{1} << 32U)) {
    return bad(fmt::format("section {:#x}+{:#x} ends above 4 GiB", gpa, size));
  }
  return Section{.gpa = gpa, .size = size, .type = static_cast<SectionType>(type)};
}

Status check_sections(std::vector<Section> sections) {
  for (const auto type : {SectionType::kSecrets, SectionType::kCpuid, SectionType::kKernelHashes}) {
    std::uint64_t size = 0;
    for (const auto& section : sections) size += section.type == type ? section.size : 0;
    if (size > kPage) {
      return bad(fmt::format("more than one page of type {}", static_cast<std::uint32_t>(type)));
    }
  }
  std::ranges::sort(sections, {}, &Section::gpa);
  for (std::size_t i = 1; i < sections.size(); ++i) {
    if (sections[i].gpa < sections[i - 1].gpa + sections[i - 1].size) {
      return bad(fmt::format("section at {:#x} overlaps another", sections[i].gpa));
    }
  }
  return {};
}

// {"ASEV", u32 length, u32 version, u32 count, count * {u32 gpa, u32 size, u32 type}}
Result<std::vector<Section>> read_descriptor(BytesView descriptor) {
  ByteReader reader(descriptor, "SEV metadata");
  COFFER_TRY(const BytesView signature, reader.take(4));
  if (as_text(signature) != "ASEV") return bad("signature is not ASEV");
  COFFER_TRY(const std::uint32_t length, reader.u32_le());
  COFFER_TRY(const std::uint32_t version, reader.u32_le());
  COFFER_TRY(const std::uint32_t count, reader.u32_le());
  if (version != 1) return bad(fmt::format("version {}, want 1", version));
  if (count > kMaxSections) return bad(fmt::format("{} sections, at most 64", count));
  if (length != kHeaderSize + count * kSectionSize) {
    return bad(fmt::format("{} bytes for {} sections", length, count));
  }
  std::vector<Section> out;
  for (std::uint32_t i = 0; i < count; ++i) {
    COFFER_TRY(const Section section, read_section(reader));
    out.push_back(section);
  }
  COFFER_TRY_VOID(check_sections(out));
  return out;
}

// The first u32 of an entry that may be absent.
Result<std::optional<std::uint32_t>> first_u32(const tee::FirmwareFooter& footer,
                                               std::string_view guid) {
  const auto data = footer.find(guid);
  if (!data) return std::optional<std::uint32_t>{};
  ByteReader reader(*data, "firmware footer entry");
  COFFER_TRY(const std::uint32_t value, reader.u32_le());
  return std::optional(value);
}

}  // namespace

bool SevMetadata::has(SectionType type) const {
  return std::ranges::any_of(sections, [&](const Section& s) { return s.type == type; });
}

Result<SevMetadata> parse_sev_metadata(BytesView image) {
  COFFER_TRY(const tee::FirmwareFooter footer, tee::FirmwareFooter::parse(image));
  SevMetadata out;
  COFFER_TRY(out.ap_reset_eip, first_u32(footer, kResetBlock));
  COFFER_TRY(out.hashes_table_gpa, first_u32(footer, kHashTable));
  if (out.hashes_table_gpa == 0U) out.hashes_table_gpa.reset();
  COFFER_TRY(out.svsm_launch_offset, first_u32(footer, kSvsmInfo));
  COFFER_TRY(const auto descriptor, footer.metadata(kSevMetadata));
  if (descriptor) {
    COFFER_TRY(out.sections, read_descriptor(*descriptor));
  }
  return out;
}

}  // namespace coffer::snp
