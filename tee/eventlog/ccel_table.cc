#include "tee/eventlog/ccel_table.h"

#include <fmt/format.h>

#include "base/byte_reader.h"

namespace coffer::eventlog {
namespace {

constexpr std::string_view kSignature = "CCEL";
// Of the header that every ACPI table has: what follows signature and length.
constexpr std::size_t kRestOfHeader = 28;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse CCEL table: {}", why));
}

}  // namespace

Result<CcelTable> parse_ccel_table(BytesView bytes) {
  if (bytes.size() != kCcelTableSize) {
    return bad(fmt::format("size: got {}, want {}", bytes.size(), kCcelTableSize));
  }
  std::uint8_t sum = 0;
  for (const std::uint8_t byte : bytes) sum = static_cast<std::uint8_t>(sum + byte);
  if (sum != 0) return bad(fmt::format("sum of its bytes: got {}, want 0", sum));
  ByteReader reader(bytes, "CCEL table");
  COFFER_TRY(const BytesView signature, reader.take(kSignature.size()));
  if (as_text(signature) != kSignature) return bad("signature: not 'CCEL'");
  COFFER_TRY(const std::uint32_t length, reader.u32_le());
  if (length != kCcelTableSize) {
    return bad(fmt::format("length: got {}, want {}", length, kCcelTableSize));
  }
  COFFER_TRY_VOID(reader.skip(kRestOfHeader));
  CcelTable out;
  COFFER_TRY(out.cc_type, reader.u8());
  COFFER_TRY(out.cc_subtype, reader.u8());
  COFFER_TRY_VOID(reader.skip(2));
  COFFER_TRY(out.log_area_length, reader.u64_le());
  COFFER_TRY(out.log_area_start, reader.u64_le());
  return out;
}

}  // namespace coffer::eventlog
