#include "tee/tdx/quote.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/byte_reader.h"

namespace coffer::tdx {
namespace {

constexpr std::array<std::uint8_t, 16> kIntelVendorId = {
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};
constexpr std::uint16_t kBodyTd10 = 2;
constexpr std::uint16_t kBodyTd15 = 3;
constexpr std::size_t kTd10Size = 584;
constexpr std::size_t kTd15Size = 648;
constexpr std::size_t kSignatureSize = 64;
constexpr std::size_t kQeReportSize = 384;
constexpr std::uint16_t kCertPckChain = 5;
constexpr std::uint16_t kCertQeReport = 6;
constexpr std::size_t kMaxPckChain = std::size_t{64} << 10U;

template <std::size_t N>
Status copy(ByteReader& reader, std::array<std::uint8_t, N>& out) {
  COFFER_TRY(const BytesView bytes, reader.take(N));
  std::ranges::copy(bytes, out.begin());
  return {};
}

template <typename... Fields>
Status copy_all(ByteReader& reader, Fields&... fields) {
  Status status;
  static_cast<void>(((status = copy(reader, fields), status.has_value()) && ...));
  return status;
}

std::unexpected<Error> bad(std::string_view field, std::uint64_t got, std::string_view want) {
  return fail(Code::kInvalidArgument,
              fmt::format("parse TDX quote: {}: got {}, want {}", field, got, want));
}

Result<QuoteHeader> parse_header(ByteReader& reader) {
  QuoteHeader header;
  COFFER_TRY(header.version, reader.u16_le());
  COFFER_TRY(header.attestation_key_type, reader.u16_le());
  COFFER_TRY(header.tee_type, reader.u32_le());
  COFFER_TRY_VOID(copy_all(reader, header.reserved, header.vendor_id, header.user_data));
  if (header.version != 4 && header.version != 5) return bad("version", header.version, "4 or 5");
  if (header.attestation_key_type != kAttestationKeyEcdsaP256) {
    return bad("attestation key type", header.attestation_key_type, "2 (ECDSA P-256)");
  }
  if (header.tee_type != kTeeTypeTdx) return bad("TEE type", header.tee_type, "129 (TDX)");
  if (header.vendor_id != kIntelVendorId) {
    return fail(Code::kInvalidArgument,
                fmt::format("parse TDX quote: QE vendor: got {}, want {}", to_hex(header.vendor_id),
                            to_hex(kIntelVendorId)));
  }
  return header;
}

// Version 4 has a TD 1.0 body and no descriptor; version 5 names type and size.
Result<std::uint16_t> parse_body_type(ByteReader& reader, std::uint16_t version) {
  if (version == 4) return kBodyTd10;
  COFFER_TRY(const std::uint16_t type, reader.u16_le());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  if (type != kBodyTd10 && type != kBodyTd15) {
    return bad("body type", type, "2 (TD 1.0) or 3 (TD 1.5)");
  }
  const std::size_t want = type == kBodyTd10 ? kTd10Size : kTd15Size;
  if (size != want) return bad("body size", size, fmt::format("{} for type {}", want, type));
  return type;
}

Result<TdBody> parse_body(ByteReader& reader, std::uint16_t type) {
  TdBody td;
  COFFER_TRY_VOID(copy_all(reader, td.tee_tcb_svn, td.mr_seam, td.mr_signer_seam,
                           td.seam_attributes, td.td_attributes, td.xfam, td.mr_td, td.mr_config_id,
                           td.mr_owner, td.mr_owner_config, td.rtmr[0], td.rtmr[1], td.rtmr[2],
                           td.rtmr[3], td.report_data));
  if (type == kBodyTd15) {
    COFFER_TRY_VOID(copy_all(reader, td.tee_tcb_svn_2.emplace(), td.mr_service_td.emplace()));
  }
  return td;
}

// Reads {u16 type, u32 size} and the data, which must fill the rest of `reader`.
Result<BytesView> certification_data(ByteReader& reader, std::uint16_t want_type,
                                     std::string_view what) {
  COFFER_TRY(const std::uint16_t type, reader.u16_le());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  if (type != want_type) {
    return bad(fmt::format("{} certification data type", what), type, fmt::format("{}", want_type));
  }
  if (size != reader.remaining()) {
    return bad(fmt::format("{} certification data size", what), size,
               fmt::format("{}, what is left of its container", reader.remaining()));
  }
  return reader.take(size);
}

Status parse_signature_data(BytesView bytes, Quote& quote) {
  ByteReader reader(bytes, "TDX quote signature data");
  COFFER_TRY(quote.signature, reader.take(kSignatureSize));
  COFFER_TRY(quote.attestation_key, reader.take(kSignatureSize));
  COFFER_TRY(const BytesView outer, certification_data(reader, kCertQeReport, "outer"));

  ByteReader inner(outer, "TDX quote QE certification data");
  COFFER_TRY(quote.qe_report, inner.take(kQeReportSize));
  COFFER_TRY(quote.qe, parse_qe_report(quote.qe_report));
  COFFER_TRY(quote.qe_report_signature, inner.take(kSignatureSize));
  COFFER_TRY(const std::uint16_t auth_size, inner.u16_le());
  COFFER_TRY(quote.qe_auth_data, inner.take(auth_size));
  COFFER_TRY(quote.pck_chain_pem, certification_data(inner, kCertPckChain, "inner"));
  if (quote.pck_chain_pem.size() > kMaxPckChain) {
    return bad("PCK chain size", quote.pck_chain_pem.size(), fmt::format("<= {}", kMaxPckChain));
  }
  return {};
}

}  // namespace

Result<QeReport> parse_qe_report(BytesView bytes) {
  ByteReader reader(bytes, "QE report");
  QeReport qe;
  COFFER_TRY_VOID(copy_all(reader, qe.cpu_svn, qe.misc_select));
  COFFER_TRY_VOID(reader.seek(48));
  COFFER_TRY_VOID(copy_all(reader, qe.attributes, qe.mr_enclave));
  COFFER_TRY_VOID(reader.seek(128));
  COFFER_TRY_VOID(copy_all(reader, qe.mr_signer));
  COFFER_TRY_VOID(reader.seek(256));
  COFFER_TRY(qe.isv_prod_id, reader.u16_le());
  COFFER_TRY(qe.isv_svn, reader.u16_le());
  COFFER_TRY_VOID(reader.seek(320));
  COFFER_TRY_VOID(copy_all(reader, qe.report_data));
  COFFER_TRY_VOID(reader.expect_end());
  return qe;
}

Result<Quote> parse_quote(BytesView bytes) {
  ByteReader reader(bytes, "TDX quote");
  Quote quote;
  COFFER_TRY(quote.header, parse_header(reader));
  COFFER_TRY(quote.body_type, parse_body_type(reader, quote.header.version));
  COFFER_TRY(quote.td, parse_body(reader, quote.body_type));
  quote.signed_bytes = bytes.first(reader.offset());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(const BytesView signature_data, reader.take(size));
  COFFER_TRY_VOID(parse_signature_data(signature_data, quote));
  quote.trailing = reader.remaining();
  return quote;
}

}  // namespace coffer::tdx
