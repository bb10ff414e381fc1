// Is this TPM quote authentic, fresh, over the PCRs that matter, and do they hold what is wanted?
// Pure: no I/O and no clock. A quote says nothing about who holds the TPM: what makes the
// attestation key trustworthy (a TEE report, an EK certificate) is the caller's to establish, and
// the verdict says so.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/tpm/attest.h"
#include "tee/tpm/key.h"
#include "tee/verdict.h"

namespace coffer::tpm {

using PcrValues = std::map<unsigned, Bytes>;
using PcrBanks = std::map<eventlog::Alg, PcrValues>;

struct Evidence {
  BytesView attest;     // TPMS_ATTEST, as signed
  BytesView signature;  // TPMT_SIGNATURE or bare RSASSA
  PcrBanks pcrs;        // claimed values; at least those that were selected
  std::optional<BytesView> event_log;
};

// What firmware and the kernel's stub measure of a direct boot, in the expectations' bank.
struct BootDigests {
  Bytes kernel;        // PCR 4
  Bytes command_line;  // PCR 9
  std::optional<Bytes> initrd;
};

struct Expectations {
  std::optional<Bytes> nonce;  // extraData; nothing: freshness is waived
  // The bank that counts, and PCRs that must be among those selected in it. Values of other PCRs
  // are claims of nobody.
  eventlog::Alg bank = eventlog::Alg::kSha256;
  std::set<unsigned> required_pcrs;
  PcrValues values;  // of that bank; each is required too
  // REPORT_DATA of hardware evidence that was verified beside, 64 bytes: it must vouch for the
  // attestation key, which then has to come with a digest (an HCL report).
  std::optional<Bytes> hardware_report_data;
  // Says which of the three differs; needs the event log.
  std::optional<BootDigests> boot;
};

// {"bank": "sha256", "pcrs": [HEX...]}, or {"sha256": {"0": HEX...}...}.
[[nodiscard]] Result<PcrBanks> parse_pcrs(std::string_view json);

// Applies {"expect_nonce": HEX, "bank": NAME, "required_pcrs": [N...], "expect_pcrs": {"N": HEX},
// "hardware_report_data": HEX}.
// kInvalidArgument, naming the key, on any other key or a value of the wrong form.
[[nodiscard]] Status apply_policy(std::string_view json, Expectations& expectations);

[[nodiscard]] tee::Verdict verify(const Evidence& evidence, const AttestationKey& attestation_key,
                                  const Expectations& expectations);

}  // namespace coffer::tpm
