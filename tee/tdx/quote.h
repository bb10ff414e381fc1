// What the bytes of a TDX quote say. Parsing only: nothing here is authentic before verify.h has
// checked it.
//
// Layout: Intel TDX DCAP Quote Generation Library and Quote Verification Library, rev. 0.9,
// appendix A.3 (version 4) and A.4 (version 5); TD report bodies: Intel TDX Module 1.0 and 1.5 ABI
// (TDREPORT_STRUCT), SGX report body: Intel SDM vol. 3D, 38.15. Integers are little endian.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tdx {

using Digest48 = std::array<std::uint8_t, 48>;

inline constexpr std::uint32_t kTeeTypeTdx = 0x81;
inline constexpr std::uint16_t kAttestationKeyEcdsaP256 = 2;

// Quote header, 48 bytes (A.3.1).
struct QuoteHeader {
  std::uint16_t version = 0;               // 4 or 5
  std::uint16_t attestation_key_type = 0;  // 2: ECDSA P-256
  std::uint32_t tee_type = 0;              // 0x81
  std::array<std::uint8_t, 4> reserved{};  // older text: QE SVN, PCE SVN
  std::array<std::uint8_t, 16> vendor_id{};
  std::array<std::uint8_t, 20> user_data{};
};

// TD quote body (A.3.2): 584 bytes for TD 1.0, 648 for TD 1.5 (A.4.3).
struct TdBody {
  std::array<std::uint8_t, 16> tee_tcb_svn{};  // TEE_TCB_SVN: [0] module SVN, [1] module major
  Digest48 mr_seam{};                          // MRSEAM
  Digest48 mr_signer_seam{};                   // MRSIGNERSEAM
  std::array<std::uint8_t, 8> seam_attributes{};
  std::array<std::uint8_t, 8> td_attributes{};
  std::array<std::uint8_t, 8> xfam{};
  Digest48 mr_td{};            // MRTD
  Digest48 mr_config_id{};     // MRCONFIGID
  Digest48 mr_owner{};         // MROWNER
  Digest48 mr_owner_config{};  // MROWNERCONFIG
  std::array<Digest48, 4> rtmr{};
  std::array<std::uint8_t, 64> report_data{};  // REPORTDATA
  // TD 1.5 only.
  std::optional<std::array<std::uint8_t, 16>> tee_tcb_svn_2;  // TEE_TCB_SVN_2: module now loaded
  std::optional<Digest48> mr_service_td;                      // MRSERVICETD
};

// SGX REPORT body of the quoting enclave, 384 bytes.
struct QeReport {
  std::array<std::uint8_t, 16> cpu_svn{};
  std::array<std::uint8_t, 4> misc_select{};
  std::array<std::uint8_t, 16> attributes{};
  std::array<std::uint8_t, 32> mr_enclave{};
  std::array<std::uint8_t, 32> mr_signer{};
  std::uint16_t isv_prod_id = 0;
  std::uint16_t isv_svn = 0;
  std::array<std::uint8_t, 64> report_data{};
};

// Views point into the parsed bytes, which must outlive the quote.
struct Quote {
  QuoteHeader header;
  // 2 (TD 1.0) or 3 (TD 1.5), as version 5 numbers them; 2 for version 4.
  std::uint16_t body_type = 2;
  TdBody td;
  QeReport qe;
  BytesView signed_bytes;         // header, version 5 descriptor, body
  BytesView signature;            // r || s, 64 bytes
  BytesView attestation_key;      // x || y, 64 bytes
  BytesView qe_report;            // 384 bytes
  BytesView qe_report_signature;  // r || s by the PCK, 64 bytes
  BytesView qe_auth_data;
  BytesView pck_chain_pem;  // certification data type 5
  // Bytes after the declared end of the quote: buffers are padded in practice, and what stands
  // there is signed by nobody and never looked at.
  std::size_t trailing = 0;
};

// kInvalidArgument, naming the field, on anything that is no TDX ECDSA-P256 quote of version 4 or 5
// with an embedded PCK chain: other versions, key types, TEEs or vendors, a body size that does not
// fit its type, and any length that does not add up with those around it.
[[nodiscard]] Result<Quote> parse_quote(BytesView bytes);

// The 384 bytes of an SGX report body.
[[nodiscard]] Result<QeReport> parse_qe_report(BytesView bytes);

}  // namespace coffer::tdx
