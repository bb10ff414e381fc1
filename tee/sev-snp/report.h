// What the bytes of an SEV-SNP attestation report say. No I/O, no cryptography, no judgement.
//
// Layout: AMD SEV Secure Nested Paging Firmware ABI Specification, 56860 rev 1.58, table 23
// "ATTESTATION_REPORT Structure"; little endian throughout.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/sev-snp/tcb.h"

namespace coffer::snp {

inline constexpr std::size_t kReportSize = 0x4A0;
// The signature covers bytes [0, kSignedSize).
inline constexpr std::size_t kSignedSize = 0x2A0;
inline constexpr std::uint32_t kMinReportVersion = 2;
inline constexpr std::uint32_t kMaxReportVersion = 5;
// VMPL field of a report that the host asked for.
inline constexpr std::uint32_t kHostVmpl = 0xFFFFFFFF;

template <std::size_t N>
using Octets = std::array<std::uint8_t, N>;

// GUEST_POLICY (table 9).
struct GuestPolicy {
  std::uint64_t raw = 0;

  [[nodiscard]] std::uint8_t abi_minor() const { return static_cast<std::uint8_t>(raw); }
  [[nodiscard]] std::uint8_t abi_major() const { return static_cast<std::uint8_t>(raw >> 8U); }
  [[nodiscard]] bool smt() const { return bit(16); }                // SMT
  [[nodiscard]] bool reserved_one() const { return bit(17); }       // must be one
  [[nodiscard]] bool migrate_ma() const { return bit(18); }         // MIGRATE_MA
  [[nodiscard]] bool debug() const { return bit(19); }              // DEBUG
  [[nodiscard]] bool single_socket() const { return bit(20); }      // SINGLE_SOCKET
  [[nodiscard]] bool cxl_allow() const { return bit(21); }          // CXL_ALLOW
  [[nodiscard]] bool mem_aes_256_xts() const { return bit(22); }    // MEM_AES_256_XTS
  [[nodiscard]] bool rapl_dis() const { return bit(23); }           // RAPL_DIS
  [[nodiscard]] bool ciphertext_hiding() const { return bit(24); }  // CIPHERTEXT_HIDING_DRAM
  [[nodiscard]] bool page_swap_disable() const { return bit(25); }  // PAGE_SWAP_DISABLE
  [[nodiscard]] bool reserved_is_zero() const { return (raw >> 26U) == 0; }

 private:
  [[nodiscard]] bool bit(unsigned index) const { return ((raw >> index) & 1U) != 0; }
};

// PLATFORM_INFO (table 24). Bits that we do not know are kept and never refused: newer firmware
// reports facts that older text reserves.
struct PlatformInfo {
  std::uint64_t raw = 0;

  [[nodiscard]] bool smt_en() const { return bit(0); }                // SMT_EN
  [[nodiscard]] bool tsme_en() const { return bit(1); }               // TSME_EN
  [[nodiscard]] bool ecc_en() const { return bit(2); }                // ECC_EN
  [[nodiscard]] bool rapl_dis() const { return bit(3); }              // RAPL_DIS
  [[nodiscard]] bool ciphertext_hiding_en() const { return bit(4); }  // CIPHERTEXT_HIDING_DRAM_EN
  [[nodiscard]] bool alias_check_complete() const { return bit(5); }  // ALIAS_CHECK_COMPLETE
  [[nodiscard]] bool tio_en() const { return bit(7); }                // SEV_TIO_EN

 private:
  [[nodiscard]] bool bit(unsigned index) const { return ((raw >> index) & 1U) != 0; }
};

enum class SigningKey : std::uint8_t { kVcek = 0, kVlek = 1, kNone = 7 };

// KEY_INFO: the flags at 0x48.
struct KeyInfo {
  std::uint32_t raw = 0;

  [[nodiscard]] bool author_key_en() const { return (raw & 1U) != 0; }         // AUTHOR_KEY_EN
  [[nodiscard]] bool mask_chip_key() const { return (raw & 2U) != 0; }         // MASK_CHIP_KEY
  [[nodiscard]] std::uint8_t signing_key() const { return (raw >> 2U) & 7U; }  // SIGNING_KEY
  [[nodiscard]] bool reserved_is_zero() const { return (raw >> 5U) == 0; }
};

struct FirmwareVersion {
  std::uint8_t build = 0, minor = 0, major = 0;
  [[nodiscard]] std::string to_text() const;  // "1.55.29": major.minor.build
  [[nodiscard]] bool operator==(const FirmwareVersion&) const = default;
};

struct Report {
  std::uint32_t version = 0;          // VERSION
  std::uint32_t guest_svn = 0;        // GUEST_SVN
  GuestPolicy policy;                 // POLICY
  Octets<16> family_id{};             // FAMILY_ID
  Octets<16> image_id{};              // IMAGE_ID
  std::uint32_t vmpl = 0;             // VMPL
  std::uint32_t signature_algo = 0;   // SIGNATURE_ALGO
  TcbBytes current_tcb{};             // CURRENT_TCB
  PlatformInfo platform_info;         // PLATFORM_INFO
  KeyInfo key_info;                   // KEY_INFO
  Octets<64> report_data{};           // REPORT_DATA
  Octets<48> measurement{};           // MEASUREMENT
  Octets<32> host_data{};             // HOST_DATA
  Octets<48> id_key_digest{};         // ID_KEY_DIGEST
  Octets<48> author_key_digest{};     // AUTHOR_KEY_DIGEST
  Octets<32> report_id{};             // REPORT_ID
  Octets<32> report_id_ma{};          // REPORT_ID_MA
  TcbBytes reported_tcb{};            // REPORTED_TCB
  CpuId cpuid;                        // CPUID_FAM_ID, CPUID_MOD_ID, CPUID_STEP: version 3 and later
  Octets<64> chip_id{};               // CHIP_ID
  TcbBytes committed_tcb{};           // COMMITTED_TCB
  FirmwareVersion current_version;    // CURRENT_BUILD, CURRENT_MINOR, CURRENT_MAJOR
  FirmwareVersion committed_version;  // COMMITTED_BUILD, COMMITTED_MINOR, COMMITTED_MAJOR
  TcbBytes launch_tcb{};              // LAUNCH_TCB
  std::uint64_t launch_mit_vector = 0;   // LAUNCH_MIT_VECTOR: version 5
  std::uint64_t current_mit_vector = 0;  // CURRENT_MIT_VECTOR: version 5
  Octets<72> signature_r{};              // R, little endian
  Octets<72> signature_s{};              // S, little endian

  [[nodiscard]] bool has_cpuid() const { return version >= 3; }
  [[nodiscard]] bool has_mitigations() const { return version >= 5; }
  // By CPUID when the report has it, else by the shape of the chip id (Turin's is 8 octets).
  [[nodiscard]] TcbLayout likely_layout() const;
};

// A departure from the layout's rules.
struct StructureFault {
  std::string field;  // "reserved", "version", "signature_algo", ...
  std::string want, got;
};

// Reads the fields of exactly kReportSize bytes and judges none; kInvalidArgument for another size.
[[nodiscard]] Result<Report> decode_report(BytesView bytes);
// Everything about `bytes` (kReportSize of them) that the layout of `report.version` forbids:
// unknown version or algorithm, reserved bits and bytes, VMPL, stepping, signature padding.
[[nodiscard]] std::vector<StructureFault> structure_faults(const Report& report, BytesView bytes);
// decode_report, and kInvalidArgument naming every fault when there is one.
[[nodiscard]] Result<Report> parse_report(BytesView bytes);

// The bytes of a report: parse_report's inverse for a report without faults.
[[nodiscard]] Octets<kReportSize> encode_report(const Report& report);

}  // namespace coffer::snp
