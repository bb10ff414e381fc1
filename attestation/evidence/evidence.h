// Evidence JSON (the `primary_evidence` of an Attestation, the `evidence` of the attestation
// service's API) to the bytes that the verifiers of tee/ take, and back. Parsing only: nothing here
// is verified. Formats: Trustee's, with members of ours beside them that it passes over.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/attester.h"
#include "tee/tpm/verify.h"

namespace coffer::evidence {

// "snp": {"attestation_report": FIELDS, "cert_chain": null | [{"cert_type", "data"}]}. The report
// is rebuilt from its fields, in which bytes that a later version may give a meaning are lost; so
// ours carries the whole as well, {"raw_report": base64}, and that is used when it is there.
// Evidence::auxiliary is the certificate table, empty when there is none.
[[nodiscard]] Result<tee::Evidence> parse_snp(const nlohmann::json& json);
[[nodiscard]] Result<nlohmann::json> make_snp(const tee::Evidence& evidence);

// "tdx": {"cc_eventlog": base64 | null, "quote": base64}. Evidence::manifest is the event log.
[[nodiscard]] Result<tee::Evidence> parse_tdx(const nlohmann::json& json);
[[nodiscard]] Result<nlohmann::json> make_tdx(const tee::Evidence& evidence);

struct TpmEvidence {
  Bytes attest;     // TPMS_ATTEST
  Bytes signature;  // TPMT_SIGNATURE, or a bare RSASSA signature
  // As tpm::parse_attestation_key takes it: SubjectPublicKeyInfo or TPM2B_PUBLIC. Empty in Azure's
  // evidence, where the HCL report has it.
  Bytes attestation_key;
  tpm::PcrBanks pcrs;    // 24 of SHA-256
  Bytes event_log;       // empty: none
  Bytes ak_certificate;  // as tpm::check_ak_certificate takes it; empty: none
};
// The nonce of a "tpm" quote: report data is cut to it.
inline constexpr std::size_t kTpmNonceBytes = 32;

// "tpm": {"ak_public": base64 SubjectPublicKeyInfo, "tpm_quote": {"signature": base64, "message":
// base64, "pcrs": [24 of hex]}}; ours besides {"ak_tpm_public": base64 TPM2B_PUBLIC, "event_log":
// base64, "ak_certificate": base64 of PEM or DER}. An `ak_tpm_public` of another key than
// `ak_public` is refused.
[[nodiscard]] Result<TpmEvidence> parse_tpm(const nlohmann::json& json);
// From tpm::make_attester's evidence. kFailedPrecondition unless it has all 24 PCRs of SHA-256.
[[nodiscard]] Result<nlohmann::json> make_tpm(const tee::Evidence& evidence);

struct AzureEvidence {
  std::uint64_t version = 0;  // 0 to 2; in 2, the HCL report's user data must be the report data
  TpmEvidence quote;
  Bytes hcl_report;
  Bytes vcek;      // DER or PEM; SNP only
  Bytes td_quote;  // TDX only
};
// "az-snp-vtpm" and "az-tdx-vtpm", versions 0 to 2.
[[nodiscard]] Result<AzureEvidence> parse_azure_snp(const nlohmann::json& json);
[[nodiscard]] Result<AzureEvidence> parse_azure_tdx(const nlohmann::json& json);

// "sample": {"svn": "1", "report_data": base64}. Proves nothing.
struct SampleEvidence {
  std::string svn;
  Bytes report_data;
};
[[nodiscard]] Result<SampleEvidence> parse_sample(const nlohmann::json& json);
[[nodiscard]] nlohmann::json make_sample(BytesView report_data);

}  // namespace coffer::evidence
