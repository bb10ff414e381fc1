// What the bytes of a TPM quote say: TPMS_ATTEST and its signature. Parsing only; verify.h asks
// whether they are authentic.
//
// Format: TCG TPM 2.0 Library, part 2 (Structures), rev. 1.59: 10.12.12 TPMS_ATTEST, 10.12.4
// TPMS_QUOTE_INFO, 10.9.7 TPML_PCR_SELECTION, 11.3.4 TPMT_SIGNATURE. Big endian.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/eventlog/event_log.h"

namespace coffer::tpm {

inline constexpr std::uint32_t kGeneratedMagic = 0xff544347;  // TPM_GENERATED_VALUE
inline constexpr std::uint16_t kAttestQuote = 0x8018;         // TPM_ST_ATTEST_QUOTE
inline constexpr std::size_t kPcrCount = 24;

struct PcrSelection {
  eventlog::Alg bank{};
  std::set<unsigned> pcrs;
  [[nodiscard]] bool operator==(const PcrSelection&) const = default;
};

struct Quote {
  std::uint32_t magic = 0;          // kGeneratedMagic, or the TPM did not make it
  std::uint16_t type = 0;           // kAttestQuote
  Bytes qualified_signer;           // qualifiedSigner
  Bytes extra_data;                 // extraData: the verifier's nonce
  std::uint64_t clock = 0;          // milliseconds
  std::uint32_t reset_count = 0;    // resetCount
  std::uint32_t restart_count = 0;  // restartCount
  bool safe = false;
  std::uint64_t firmware_version = 0;
  std::vector<PcrSelection> selections;  // in the order in which their values were hashed
  Bytes pcr_digest;
};

// kInvalidArgument on a structure that is cut, has bytes left over, selects more than 24 PCRs or
// more than 16 banks, a bank twice, or a bank that we do not know. Magic and type are not judged:
// of another type only the head is read.
[[nodiscard]] Result<Quote> parse_attest(BytesView bytes);

enum class SignatureKind : std::uint8_t { kRsaSsa, kEcdsa };

struct Signature {
  SignatureKind kind = SignatureKind::kRsaSsa;
  eventlog::Alg hash = eventlog::Alg::kSha256;
  Bytes rsa;   // RSASSA-PKCS1-v1_5
  Bytes r, s;  // ECDSA, big endian
};

// A TPMT_SIGNATURE (RSASSA or ECDSA), or, when `bytes` is none and 256 to 512 bytes long, a bare
// RSASSA signature with SHA-256 as Azure's vTPM hands out. kInvalidArgument on anything else.
[[nodiscard]] Result<Signature> parse_signature(BytesView bytes);

}  // namespace coffer::tpm
