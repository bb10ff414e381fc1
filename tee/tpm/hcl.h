// Azure's paravisor report (NV index 0x01400001 of its vTPM): hardware evidence whose REPORT_DATA
// is the hash of "runtime data", which holds the vTPM's attestation key. That is how a key of a
// vTPM becomes one that hardware vouches for.
//
// Format: Microsoft, "Guest attestation for Azure confidential VMs" (HCL attestation report):
// header of 32 bytes, hardware report area of 1184, request data of 20, runtime data. Little
// endian.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/eventlog/event_log.h"
#include "tee/public_key.h"

namespace coffer::tpm {

enum class HclHardware : std::uint8_t { kSnp, kTdx };

// Views point into the parsed bytes.
struct HclReport {
  HclHardware hardware = HclHardware::kSnp;
  BytesView hardware_report;       // SNP report (1184 bytes) or TDREPORT (1024)
  BytesView runtime_data;          // JSON, exactly what is hashed
  Bytes runtime_digest;            // what the hardware's REPORT_DATA begins with; zeros follow
  tee::PublicKey attestation_key;  // "HCLAkPub"
  Bytes user_data;                 // of the guest; empty when absent
};

[[nodiscard]] bool looks_like_hcl(BytesView bytes);

// kInvalidArgument on sizes that do not add up, unknown kinds, trailing bytes that are not zero, or
// runtime data without exactly one RSA key "HCLAkPub". Nothing is verified: the caller verifies the
// hardware's evidence and compares its REPORT_DATA with the digest.
[[nodiscard]] Result<HclReport> parse_hcl(BytesView bytes);

}  // namespace coffer::tpm
