#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"
#include "tee/digest.h"
#include "tee/eventlog/boot_events.h"

namespace coffer::eventlog {
namespace {

constexpr std::size_t kPeOffsetAt = 0x3c;
constexpr std::size_t kCoffHeader = 4 + 20;  // "PE\0\0" and IMAGE_FILE_HEADER
constexpr std::size_t kSectionHeader = 40;
constexpr std::uint16_t kPe32 = 0x10b;
constexpr std::uint16_t kPe32Plus = 0x20b;
constexpr std::size_t kChecksumAt = 64;  // in the optional header, both forms
constexpr std::size_t kHeadersSizeAt = 60;
constexpr std::uint32_t kCertificateEntry = 4;
constexpr std::uint16_t kMaxSections = 96;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("hash PE image: {}", why));
}

struct Range {
  std::size_t begin = 0;
  std::size_t size = 0;
};

struct PeLayout {
  std::size_t checksum = 0;      // offset of the checksum
  std::size_t certificates = 0;  // offset of the certificate table's directory entry; 0 for none
  std::size_t headers_size = 0;
  std::size_t certificate_size = 0;
  std::vector<Range> sections;  // by offset
};

Result<std::vector<Range>> read_sections(ByteReader& reader, std::uint16_t count,
                                         std::size_t image_size) {
  std::vector<Range> sections;
  for (std::uint16_t i = 0; i < count; ++i) {
    ByteReader header = reader;
    COFFER_TRY_VOID(reader.skip(kSectionHeader));
    COFFER_TRY_VOID(header.skip(16));
    COFFER_TRY(const std::uint32_t size, header.u32_le());
    COFFER_TRY(const std::uint32_t offset, header.u32_le());
    if (size == 0) continue;
    if (std::uint64_t{offset} + size > image_size) return bad("a section is outside the image");
    sections.push_back({offset, size});
  }
  std::ranges::sort(sections, {}, &Range::begin);
  return sections;
}

Status read_directory(BytesView image, std::size_t optional, bool plus, PeLayout& layout) {
  ByteReader reader(image, "PE data directories");
  COFFER_TRY_VOID(reader.seek(optional + (plus ? 108 : 92)));
  COFFER_TRY(const std::uint32_t entries, reader.u32_le());
  if (entries <= kCertificateEntry) return {};
  COFFER_TRY_VOID(reader.skip(std::size_t{kCertificateEntry} * 8));
  layout.certificates = reader.offset();
  COFFER_TRY_VOID(reader.skip(4));
  COFFER_TRY(layout.certificate_size, reader.u32_le());
  return {};
}

Result<PeLayout> read_layout(BytesView image) {
  ByteReader reader(image, "PE image");
  COFFER_TRY(const BytesView mz, reader.take(2));
  if (as_text(mz) != "MZ") return bad("it does not start with 'MZ'");
  COFFER_TRY_VOID(reader.seek(kPeOffsetAt));
  COFFER_TRY(const std::uint32_t pe, reader.u32_le());
  COFFER_TRY_VOID(reader.seek(pe));
  COFFER_TRY(const BytesView signature, reader.take(4));
  if (as_text(signature) != std::string_view("PE\0\0", 4)) return bad("no PE signature");
  COFFER_TRY_VOID(reader.skip(2));
  COFFER_TRY(const std::uint16_t sections, reader.u16_le());
  COFFER_TRY_VOID(reader.skip(12));
  COFFER_TRY(const std::uint16_t optional_size, reader.u16_le());
  COFFER_TRY_VOID(reader.skip(2));
  const std::size_t optional = std::size_t{pe} + kCoffHeader;
  COFFER_TRY(const std::uint16_t magic, reader.u16_le());
  if (magic != kPe32 && magic != kPe32Plus) return bad("neither PE32 nor PE32+");
  if (sections > kMaxSections) return bad("more than 96 sections");

  PeLayout layout;
  layout.checksum = optional + kChecksumAt;
  COFFER_TRY_VOID(reader.seek(optional + kHeadersSizeAt));
  COFFER_TRY(layout.headers_size, reader.u32_le());
  COFFER_TRY_VOID(read_directory(image, optional, magic == kPe32Plus, layout));
  COFFER_TRY_VOID(reader.seek(optional + optional_size));
  COFFER_TRY(layout.sections, read_sections(reader, sections, image.size()));
  return layout;
}

}  // namespace

Result<Bytes> authenticode(Alg alg, BytesView image) {
  COFFER_TRY(const PeLayout layout, read_layout(image));
  const std::size_t after_checksum = layout.checksum + 4;
  const std::size_t entry = layout.certificates != 0 ? layout.certificates : layout.headers_size;
  const std::size_t after_entry = layout.certificates != 0 ? entry + 8 : entry;
  if (layout.headers_size > image.size() || entry < after_checksum ||
      after_entry > layout.headers_size) {
    return bad("the size of its headers does not fit them");
  }
  Bytes data;
  data.reserve(image.size());
  const auto add = [&](std::size_t from, std::size_t to) {
    const BytesView part = image.subspan(from, to - from);
    data.insert(data.end(), part.begin(), part.end());
  };
  add(0, layout.checksum);
  add(after_checksum, entry);
  add(after_entry, layout.headers_size);
  std::size_t hashed = layout.headers_size;
  for (const Range& section : layout.sections) {
    // Each byte is hashed at most once per section: overlapping ones may not grow without bound.
    hashed += section.size;
    if (hashed > image.size()) return bad("its sections overlap");
    add(section.begin, section.begin + section.size);
  }
  if (hashed + layout.certificate_size > image.size())
    return bad("its certificate table is too long");
  const std::size_t end = image.size() - layout.certificate_size;
  if (end > hashed) add(hashed, end);
  return hash(alg, data);
}

}  // namespace coffer::eventlog
