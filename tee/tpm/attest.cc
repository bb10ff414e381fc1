#include "tee/tpm/attest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;

constexpr std::uint32_t kMaxBanks = 16;
constexpr std::uint8_t kMaxBitmap = 3;
constexpr std::uint16_t kAlgRsaSsa = 0x0014;
constexpr std::uint16_t kAlgEcdsa = 0x0018;
constexpr std::size_t kMinRsa = 256;
constexpr std::size_t kMaxRsa = 512;

std::unexpected<Error> bad(std::string_view what, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse {}: {}", what, why));
}

// A TPM2B: u16 size, bytes.
Result<Bytes> sized(ByteReader& reader) {
  COFFER_TRY(const std::uint16_t size, reader.u16_be());
  COFFER_TRY(const BytesView bytes, reader.take(size));
  return Bytes(bytes.begin(), bytes.end());
}

Result<PcrSelection> read_selection(ByteReader& reader) {
  PcrSelection selection;
  COFFER_TRY(const std::uint16_t alg, reader.u16_be());
  selection.bank = Alg{alg};
  if (!eventlog::alg_size(selection.bank)) {
    return bad("TPMS_ATTEST", fmt::format("PCR bank {:#06x}: unknown", alg));
  }
  COFFER_TRY(const std::uint8_t size, reader.u8());
  if (size > kMaxBitmap) {
    return bad("TPMS_ATTEST",
               fmt::format("PCR bitmap: got {} bytes, want <= {}", size, kMaxBitmap));
  }
  COFFER_TRY(const BytesView bitmap, reader.take(size));
  for (unsigned pcr = 0; pcr < 8U * size; ++pcr) {
    if ((bitmap[pcr / 8] >> (pcr % 8) & 1U) != 0) selection.pcrs.insert(pcr);
  }
  return selection;
}

Status read_quote_info(ByteReader& reader, Quote& quote) {
  COFFER_TRY(const std::uint32_t count, reader.u32_be());
  if (count > kMaxBanks) {
    return bad("TPMS_ATTEST", fmt::format("PCR selections: got {}, want <= {}", count, kMaxBanks));
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    COFFER_TRY(PcrSelection selection, read_selection(reader));
    if (std::ranges::find(quote.selections, selection.bank, &PcrSelection::bank) !=
        quote.selections.end()) {
      return bad("TPMS_ATTEST",
                 fmt::format("PCR bank {} stands twice", eventlog::alg_name(selection.bank)));
    }
    quote.selections.push_back(std::move(selection));
  }
  COFFER_TRY(quote.pcr_digest, sized(reader));
  return reader.expect_end();
}

Result<Signature> read_tpmt(BytesView bytes) {
  ByteReader reader(bytes, "TPMT_SIGNATURE");
  Signature out;
  COFFER_TRY(const std::uint16_t scheme, reader.u16_be());
  COFFER_TRY(const std::uint16_t hash, reader.u16_be());
  out.hash = Alg{hash};
  if (scheme == kAlgRsaSsa) {
    COFFER_TRY(out.rsa, sized(reader));
  } else if (scheme == kAlgEcdsa) {
    out.kind = SignatureKind::kEcdsa;
    COFFER_TRY(out.r, sized(reader));
    COFFER_TRY(out.s, sized(reader));
  } else {
    return bad("TPMT_SIGNATURE", fmt::format("scheme {:#06x}: want RSASSA or ECDSA", scheme));
  }
  COFFER_TRY_VOID(reader.expect_end());
  return out;
}

}  // namespace

Result<Quote> parse_attest(BytesView bytes) {
  ByteReader reader(bytes, "TPMS_ATTEST");
  Quote quote;
  COFFER_TRY(quote.magic, reader.u32_be());
  COFFER_TRY(quote.type, reader.u16_be());
  if (quote.type != kAttestQuote) return quote;
  COFFER_TRY(quote.qualified_signer, sized(reader));
  COFFER_TRY(quote.extra_data, sized(reader));
  COFFER_TRY(quote.clock, reader.u64_be());
  COFFER_TRY(quote.reset_count, reader.u32_be());
  COFFER_TRY(quote.restart_count, reader.u32_be());
  COFFER_TRY(const std::uint8_t safe, reader.u8());
  if (safe > 1) return bad("TPMS_ATTEST", fmt::format("safe: got {}, want 0 or 1", safe));
  quote.safe = safe == 1;
  COFFER_TRY(quote.firmware_version, reader.u64_be());
  COFFER_TRY_VOID(read_quote_info(reader, quote));
  return quote;
}

Result<Signature> parse_signature(BytesView bytes) {
  auto tpmt = read_tpmt(bytes);
  if (tpmt) return tpmt;
  if (bytes.size() < kMinRsa || bytes.size() > kMaxRsa) return tpmt;
  Signature bare;
  bare.rsa.assign(bytes.begin(), bytes.end());
  return bare;
}

}  // namespace coffer::tpm
