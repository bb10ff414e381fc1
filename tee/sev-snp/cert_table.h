// The certificate table that a host may put beside a report: the extended report's buffer, or
// configfs-tsm's auxblob. All of it is the host's word.
//
// Layout: SEV-ES Guest-Hypervisor Communication Block Standardization, 56421 rev 2.03, section
// 4.1.8.1 "certificate data structure": 24-octet entries {GUID, u32 offset, u32 length}, little
// endian, ended by an all-zero entry; GUIDs in RFC 4122 (textual) octet order.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/x509_bundle.h"

namespace coffer::snp {

enum class CertKind : std::uint8_t { kVcek, kVlek, kAsk, kArk, kCrl, kPlatformInfo, kOther };

struct CertTableEntry {
  CertKind kind = CertKind::kOther;
  Bytes guid;  // 16 octets
  Bytes data;
};

// At most 1 MiB and 64 entries. An empty or all-zero table is normal and gives no entries; unknown
// GUIDs come out as kOther. kInvalidArgument when the terminator is missing, data runs over the
// table or overlaps the entries or other data, or a known GUID stands twice.
[[nodiscard]] Result<std::vector<CertTableEntry>> parse_cert_table(BytesView bytes);

// The certificates and revocation lists of a table, DER or PEM each.
[[nodiscard]] Result<tee::X509Bundle> certificates_of(const std::vector<CertTableEntry>& table);

// The table's bytes, padded to whole 4 KiB pages.
[[nodiscard]] Bytes encode_cert_table(const std::vector<CertTableEntry>& entries);
[[nodiscard]] Bytes cert_guid(CertKind kind);

}  // namespace coffer::snp
