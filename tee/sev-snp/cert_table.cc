#include "tee/sev-snp/cert_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/byte_reader.h"

namespace coffer::snp {
namespace {

constexpr std::size_t kGuidSize = 16;
constexpr std::size_t kEntrySize = 24;
constexpr std::size_t kMaxTable = std::size_t{1} << 20U;
constexpr std::size_t kMaxEntries = 64;
constexpr std::size_t kPage = 4096;

struct KnownGuid {
  CertKind kind;
  std::string_view hex;
};
constexpr std::array<KnownGuid, 6> kKnown{{
    {CertKind::kVcek, "63da758de6644564adc5f4b93be8accd"},
    {CertKind::kVlek, "a8074bc2a25a483eaae639c045a0b8a1"},
    {CertKind::kAsk, "4ab7b379bbac4fe4a02f05aef327c782"},
    {CertKind::kArk, "c0b406a4a803495297433fb6014cd0ae"},
    {CertKind::kCrl, "92f81bc358114d3d97ffd19f88dc67ea"},
    {CertKind::kPlatformInfo, "ecae0c0f950243b1afa20ae2e0d565b6"},
}};

struct Header {
  BytesView guid;
  std::size_t offset = 0, length = 0;
};

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read certificate table: {}", why));
}

CertKind kind_of(BytesView guid) {
  const std::string hex = to_hex(guid);
  const auto at = std::find_if(kKnown.begin(), kKnown.end(),
                               [&](const KnownGuid& known) { return known.hex == hex; });
  return at == kKnown.end() ? CertKind::kOther : at->kind;
}

bool is_zero(BytesView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// The entries up to the terminator, which must be there.
Result<std::vector<Header>> read_headers(BytesView bytes, std::size_t& headers_end) {
  ByteReader reader(bytes, "certificate table");
  std::vector<Header> out;
  for (;;) {
    if (reader.remaining() < kEntrySize) return bad("no terminating entry");
    COFFER_TRY(const BytesView guid, reader.take(kGuidSize));
    COFFER_TRY(const std::uint32_t offset, reader.u32_le());
    COFFER_TRY(const std::uint32_t length, reader.u32_le());
    headers_end = reader.offset();
    if (is_zero(guid)) {
      if (offset != 0 || length != 0) return bad("terminating entry is not all zero");
      return out;
    }
    if (out.size() >= kMaxEntries) return bad("more than 64 entries");
    out.push_back({.guid = guid, .offset = offset, .length = length});
  }
}

Status check_bounds(const std::vector<Header>& headers, std::size_t headers_end,
                    std::size_t table_size) {
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const auto& header : headers) {
    // Both came as 32 bits: their sum cannot wrap in 64.
    const std::size_t end = header.offset + header.length;
    if (end > table_size) return bad("data runs past the end of the table");
    if (header.offset < headers_end) return bad("data overlaps the entries");
    if (header.length > 0) ranges.emplace_back(header.offset, end);
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) return bad("data of two entries overlaps");
  }
  return {};
}

void put_u32(Bytes& out, std::size_t value) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace

Result<std::vector<CertTableEntry>> parse_cert_table(BytesView bytes) {
  if (bytes.empty()) return std::vector<CertTableEntry>{};
  if (bytes.size() > kMaxTable) {
    return fail(
        Code::kResourceExhausted,
        fmt::format("read certificate table: {} bytes, the limit is {}", bytes.size(), kMaxTable));
  }
  std::size_t headers_end = 0;
  COFFER_TRY(const std::vector<Header> headers, read_headers(bytes, headers_end));
  COFFER_TRY_VOID(check_bounds(headers, headers_end, bytes.size()));
  std::vector<CertTableEntry> out;
  for (const auto& header : headers) {
    const CertKind kind = kind_of(header.guid);
    const bool twice = std::any_of(out.begin(), out.end(), [&](const CertTableEntry& entry) {
      return std::ranges::equal(entry.guid, header.guid);
    });
    if (twice && kind != CertKind::kOther) return bad("a known GUID stands twice");
    const BytesView data = bytes.subspan(header.offset, header.length);
    out.push_back({.kind = kind,
                   .guid = Bytes(header.guid.begin(), header.guid.end()),
                   .data = Bytes(data.begin(), data.end())});
  }
  return out;
}

Result<tee::X509Bundle> certificates_of(const std::vector<CertTableEntry>& table) {
  tee::X509Bundle out;
  for (const auto& entry : table) {
    if (entry.kind == CertKind::kOther || entry.kind == CertKind::kPlatformInfo) continue;
    COFFER_TRY(tee::X509Bundle part, tee::parse_x509_bundle(entry.data, "certificate table entry"));
    std::move(part.certificates.begin(), part.certificates.end(),
              std::back_inserter(out.certificates));
    std::move(part.crls.begin(), part.crls.end(), std::back_inserter(out.crls));
  }
  return out;
}

Bytes cert_guid(CertKind kind) {
  const auto at = std::find_if(kKnown.begin(), kKnown.end(),
                               [&](const KnownGuid& known) { return known.kind == kind; });
  return at == kKnown.end() ? Bytes{} : from_hex(at->hex).value_or(Bytes{});
}

Bytes encode_cert_table(const std::vector<CertTableEntry>& entries) {
  Bytes out;
  std::size_t offset = (entries.size() + 1) * kEntrySize;
  for (const auto& entry : entries) {
    out.insert(out.end(), entry.guid.begin(), entry.guid.end());
    put_u32(out, offset);
    put_u32(out, entry.data.size());
    offset += entry.data.size();
  }
  out.resize(out.size() + kEntrySize);
  for (const auto& entry : entries) out.insert(out.end(), entry.data.begin(), entry.data.end());
  out.resize((out.size() + kPage - 1) / kPage * kPage);
  return out;
}

}  // namespace coffer::snp
