#include "tee/firmware_footer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"

namespace coffer::tee {
namespace {

constexpr std::size_t kResetVectorSize = 32;
constexpr std::size_t kGuidSize = 16;
constexpr std::size_t kTrailerSize = 2 + kGuidSize;
constexpr std::string_view kFooterGuid = "96b582de-1fb2-45f7-baea-a366c55a082d";

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read firmware footer: {}", why));
}

// The size and GUID that end `table`.
struct Trailer {
  std::size_t size = 0;
  std::string guid;
};

Result<Trailer> read_trailer(BytesView table) {
  ByteReader reader(table.last(kTrailerSize), "firmware footer");
  COFFER_TRY(const std::uint16_t size, reader.u16_le());
  COFFER_TRY(const BytesView guid, reader.take(kGuidSize));
  return Trailer{.size = size, .guid = uefi_guid_text(guid)};
}

}  // namespace

std::string uefi_guid_text(BytesView o) {
  check(o.size() == kGuidSize, "GUID of a wrong size");
  return fmt::format(
      "{:02x}{:02x}{:02x}{:02x}-{:02x}{:02x}-{:02x}{:02x}-{:02x}{:02x}-{:02x}{:02x}{:02x}{:02x}"
      "{:02x}{:02x}",
      o[3], o[2], o[1], o[0], o[5], o[4], o[7], o[6], o[8], o[9], o[10], o[11], o[12], o[13], o[14],
      o[15]);
}

Bytes uefi_guid_octets(std::string_view text) {
  std::string hex(text);
  std::erase(hex, '-');
  auto octets = from_hex(hex);
  check(octets && octets->size() == kGuidSize, "malformed GUID constant");
  std::reverse(octets->begin(), octets->begin() + 4);
  std::reverse(octets->begin() + 4, octets->begin() + 6);
  std::reverse(octets->begin() + 6, octets->begin() + 8);
  return *std::move(octets);
}

Result<FirmwareFooter> FirmwareFooter::parse(BytesView image) {
  FirmwareFooter out;
  out.image_ = image;
  if (image.size() < kResetVectorSize + kTrailerSize) return out;
  BytesView table = image.first(image.size() - kResetVectorSize);
  COFFER_TRY(const Trailer footer, read_trailer(table));
  if (footer.guid != kFooterGuid) return out;
  if (footer.size < kTrailerSize || footer.size > table.size()) {
    return bad(fmt::format("table of {} bytes in {}", footer.size, table.size()));
  }
  table = table.last(footer.size).first(footer.size - kTrailerSize);
  while (!table.empty()) {
    if (table.size() < kTrailerSize) return bad("bytes left over before the first entry");
    COFFER_TRY(Trailer entry, read_trailer(table));
    if (entry.size < kTrailerSize || entry.size > table.size()) {
      return bad(fmt::format("entry {} of {} bytes in {}", entry.guid, entry.size, table.size()));
    }
    if (out.find(entry.guid)) return bad(fmt::format("entry {} stands twice", entry.guid));
    const BytesView data = table.last(entry.size).first(entry.size - kTrailerSize);
    out.entries_.push_back({.guid = std::move(entry.guid), .data = data});
    table = table.first(table.size() - entry.size);
  }
  return out;
}

std::optional<BytesView> FirmwareFooter::find(std::string_view guid) const {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const FooterEntry& entry) { return entry.guid == guid; });
  if (at == entries_.end()) return std::nullopt;
  return at->data;
}

Result<std::optional<BytesView>> FirmwareFooter::metadata(std::string_view guid) const {
  const auto data = find(guid);
  if (!data) return std::optional<BytesView>{};
  ByteReader reader(*data, "firmware metadata offset");
  COFFER_TRY(const std::uint32_t offset, reader.u32_le());
  COFFER_TRY_VOID(reader.expect_end());
  if (offset == 0 || offset > image_.size()) {
    return bad(fmt::format("metadata offset {} in an image of {} bytes", offset, image_.size()));
  }
  return std::optional(image_.last(offset));
}

}  // namespace coffer::tee
