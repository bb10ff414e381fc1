// Azure's confidential VMs: a vTPM quotes, and its key stands in a report that the hardware vouches
// for. Hardware, then binding, then quote; each of its checks by name, the vTPM's as "vtpm.*".

#include <fmt/format.h>

#include <algorithm>

#include "attestation/evidence/evidence.h"
#include "attestation/initdata/initdata.h"
#include "attestation/service/claims.h"
#include "attestation/service/evidence_verifier.h"
#include "attestation/service/init_data_check.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/tdx/td_report.h"
#include "tee/tpm/hcl.h"
#include "tee/tpm/verify.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSource = "Microsoft, guest attestation for Azure confidential VMs";
constexpr std::size_t kReportData = 64;
constexpr std::size_t kPcrDigest = 32;

Bytes copy_of(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

Bytes padded(BytesView bytes) {
  Bytes out = copy_of(bytes);
  out.resize(std::max(out.size(), kReportData));
  return out;
}

Result<tpm::HclReport> parse_report(const evidence::AzureEvidence& evidence,
                                    tpm::HclHardware want) {
  COFFER_TRY(auto report, tpm::parse_hcl(evidence.hcl_report));
  if (report.hardware == want) return report;
  return fail(Code::kInvalidArgument, "verify Azure evidence: the HCL report is of another TEE");
}

// As Trustee does: without runtime data nothing would say that the quote is not an old one.
Status check_request(const EvidenceRequest& request) {
  if (!request.report_data || request.report_data->empty()) {
    return fail(Code::kInvalidArgument, "verify Azure evidence: runtime data is needed");
  }
  if (request.init_data_digest && request.init_data_digest->size() != kPcrDigest) {
    return fail(Code::kInvalidArgument,
                fmt::format("verify Azure evidence: the init data's digest has {} bytes, want 32: "
                            "its algorithm must be sha256",
                            request.init_data_digest->size()));
  }
  return {};
}

// The quote's checks and, by "tpm", its claims; what the guest bound.
Status add_quote(const EvidenceRequest& request, const evidence::AzureEvidence& evidence,
                 const tpm::HclReport& report, Verified& out) {
  COFFER_TRY(const auto key, tpm::parse_attestation_key(evidence.hcl_report));
  tpm::Expectations want;
  want.nonce = *request.report_data;
  // That the hardware vouches for the key: its REPORT_DATA is in `out` already, compared.
  want.hardware_report_data = padded(report.runtime_digest);
  for (unsigned pcr = 0; pcr < tpm::kPcrCount; ++pcr) want.required_pcrs.insert(pcr);
  const tpm::Evidence quote{.attest = evidence.quote.attest,
                            .signature = evidence.quote.signature,
                            .pcrs = evidence.quote.pcrs,
                            .event_log = {}};
  const tee::Verdict verdict = tpm::verify(quote, key, want);
  for (auto check : verdict.checks()) {
    check.name = "vtpm." + check.name;
    out.verdict.add(std::move(check));
  }
  if (evidence.version >= 2) {
    const Bytes& bound = *request.report_data;
    const bool starts = report.user_data.size() >= bound.size() &&
                        std::ranges::equal(bound, BytesView(report.user_data).first(bound.size()));
    out.verdict.add("hcl.user_data", starts, to_hex(bound), to_hex(report.user_data), kSource);
  }
  const Json& claims = verdict.claims();
  out.claims["tpm"] = tpm_claims(claims);
  const auto text = [](const Json& object, const std::string& name) {
    const Json value = object.is_object() ? object.value(name, Json()) : Json();
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  out.report_data = text(claims, "extra_data");
  out.init_data = text(out.claims["tpm"], fmt::format("pcr{:02}", initdata::kTpmPcrIndex));
  std::optional<Bytes> pcr;
  if (request.init_data_digest) pcr = initdata::extended_pcr(*request.init_data_digest);
  check_init_data(pcr, out.init_data, out.verdict);
  return {};
}

}  // namespace

Result<Verified> EvidenceVerifier::azure_snp(const EvidenceRequest& request,
                                             tee::UnixTime time) const {
  COFFER_TRY_VOID(check_request(request));
  COFFER_TRY(const auto evidence, evidence::parse_azure_snp(request.evidence));
  COFFER_TRY(const auto report, parse_report(evidence, tpm::HclHardware::kSnp));
  tee::Evidence hardware{
      .tee = "snp", .report = copy_of(report.hardware_report), .auxiliary = {}, .manifest = {}};
  if (!evidence.vcek.empty()) {
    hardware.auxiliary = snp::encode_cert_table({{.kind = snp::CertKind::kVcek,
                                                  .guid = snp::cert_guid(snp::CertKind::kVcek),
                                                  .data = evidence.vcek}});
  }
  COFFER_TRY(auto verdict, snp_verdict(hardware, report.runtime_digest, time));
  Verified out{.verdict = std::move(verdict), .claims = {}, .report_data = {}, .init_data = {}};
  out.claims = azure_snp_claims(out.verdict.claims());
  COFFER_TRY_VOID(add_quote(request, evidence, report, out));
  return out;
}

Result<Verified> EvidenceVerifier::azure_tdx(const EvidenceRequest& request,
                                             tee::UnixTime time) const {
  COFFER_TRY_VOID(check_request(request));
  COFFER_TRY(const auto evidence, evidence::parse_azure_tdx(request.evidence));
  COFFER_TRY(const auto report, parse_report(evidence, tpm::HclHardware::kTdx));
  const tee::Evidence hardware{
      .tee = "tdx", .report = evidence.td_quote, .auxiliary = {}, .manifest = {}};
  COFFER_TRY(auto verdict, tdx_verdict(hardware, padded(report.runtime_digest), time));
  Verified out{.verdict = std::move(verdict), .claims = {}, .report_data = {}, .init_data = {}};
  out.claims = tdx_claims(out.verdict.claims(), evidence.td_quote, out.verdict.verified());
  // The report that the paravisor keeps is the quote's.
  const auto inner = tdx::parse_td_report(report.hardware_report);
  const Json quoted =
      out.verdict.claims().is_object() ? out.verdict.claims().value("report_data", Json()) : Json();
  out.verdict.add_equal("hcl.td_report", quoted.is_string() ? quoted.get<std::string>() : "",
                        inner ? to_hex(inner->td.report_data) : inner.error().message(), kSource);
  COFFER_TRY_VOID(add_quote(request, evidence, report, out));
  return out;
}

}  // namespace coffer::appraisal
