#include "tee/tdx/qgs.h"

#include <fmt/format.h>

#include "base/byte_reader.h"

namespace coffer::tdx {
namespace {

constexpr std::size_t kHeader = 16;
constexpr std::size_t kMaxMessage = std::size_t{1} << 20U;
constexpr std::uint16_t kMajor = 1;
constexpr std::uint32_t kGetQuoteRequest = 0;
constexpr std::uint32_t kGetQuoteResponse = 1;

void put_le(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::unexpected<Error> bad(std::string_view field, std::uint64_t got, std::uint64_t want) {
  return fail(Code::kInvalidArgument,
              fmt::format("parse QGS response: {}: got {}, want {}", field, got, want));
}

}  // namespace

Bytes qgs_request(BytesView td_report) {
  const auto size = static_cast<std::uint32_t>(kHeader + 8 + td_report.size());
  Bytes out;
  for (unsigned i = 4; i-- > 0;) out.push_back(static_cast<std::uint8_t>(size >> (8 * i)));
  put_le(out, kMajor, 2);
  put_le(out, 0, 2);
  put_le(out, kGetQuoteRequest, 4);
  put_le(out, size, 4);
  put_le(out, 0, 4);
  put_le(out, td_report.size(), 4);
  put_le(out, 0, 4);  // no list of key ids
  out.insert(out.end(), td_report.begin(), td_report.end());
  return out;
}

Result<std::size_t> qgs_message_size(BytesView prefix) {
  ByteReader reader(prefix, "QGS length");
  COFFER_TRY(const std::uint32_t size, reader.u32_be());
  if (size < kHeader || size > kMaxMessage) {
    return fail(Code::kInvalidArgument,
                fmt::format("read QGS length: got {}, want {} to {}", size, kHeader, kMaxMessage));
  }
  return std::size_t{size};
}

Result<Bytes> qgs_response(BytesView message) {
  ByteReader reader(message, "QGS response");
  COFFER_TRY(const std::uint16_t major, reader.u16_le());
  COFFER_TRY_VOID(reader.skip(2));
  COFFER_TRY(const std::uint32_t type, reader.u32_le());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(const std::uint32_t error, reader.u32_le());
  if (major != kMajor) return bad("major version", major, kMajor);
  if (type != kGetQuoteResponse) return bad("type", type, kGetQuoteResponse);
  if (size != message.size()) return bad("size", size, message.size());
  if (error != 0) {
    return fail(Code::kUnavailable,
                fmt::format("ask the quote generation service: it answered error {:#x}", error));
  }
  COFFER_TRY(const std::uint32_t id_size, reader.u32_le());
  COFFER_TRY(const std::uint32_t quote_size, reader.u32_le());
  COFFER_TRY_VOID(reader.skip(id_size));
  if (quote_size == 0) return bad("quote size", 0, 1);
  COFFER_TRY(const BytesView quote, reader.take(quote_size));
  COFFER_TRY_VOID(reader.expect_end());
  return Bytes(quote.begin(), quote.end());
}

}  // namespace coffer::tdx
