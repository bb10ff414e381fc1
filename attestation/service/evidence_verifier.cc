#include "attestation/service/evidence_verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "attestation/evidence/evidence.h"
#include "attestation/initdata/initdata.h"
#include "attestation/service/claims.h"
#include "attestation/service/event_log_claims.h"
#include "attestation/service/init_data_check.h"
#include "tee/digest.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/verifier.h"
#include "tee/sev-snp/verify.h"
#include "tee/tdx/pck_extension.h"
#include "tee/tdx/quote.h"
#include "tee/tdx/verify.h"
#include "tee/tpm/ak_certificate.h"
#include "tee/tpm/key.h"
#include "tee/tpm/verify.h"
#include "tee/x509_bundle.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;
using protocol::Tee;

constexpr std::string_view kProtocol = "key broker protocol 0.4.0, attestation";
constexpr std::size_t kSnpReportData = 64;

Bytes padded(BytesView bytes, std::size_t size) {
  Bytes out(bytes.begin(), bytes.end());
  out.resize(size);
  return out;
}

std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto at = object.find(key);
  return at == object.end() || !at->is_string() ? std::string() : at->get<std::string>();
}

// Which platform's collateral a quote needs, and whose revocation list, on its own word: the
// verifier checks it.
struct Platform {
  std::string fmspc, ca;
};

Platform platform_of(const tee::Certificate& leaf, const tdx::PckExtension& pck) {
  const bool processor = leaf.issuer().common_name() == tdx::kProcessorCaName;
  return {.fmspc = to_hex(pck.fmspc), .ca = processor ? "processor" : "platform"};
}

Result<Platform> platform_of(BytesView bytes, tdx::PckChains& known) {
  COFFER_TRY(const tdx::Quote quote, tdx::parse_quote(bytes));
  if (const auto read = known.read(quote.pck_chain_pem, {}); read && (*read)->pck) {
    return platform_of((*read)->certificates.front(), *(*read)->pck);
  }
  // The verifier says what is wrong with it.
  COFFER_TRY(const auto chain, tee::parse_x509_bundle(quote.pck_chain_pem, "PCK chain"));
  for (const auto& certificate : chain.certificates) {
    const auto* extension = certificate.extension(tdx::kSgxExtensionOid);
    if (extension == nullptr) continue;
    COFFER_TRY(const auto pck, tdx::parse_pck_extension(extension->value));
    return platform_of(certificate, pck);
  }
  return fail(Code::kInvalidArgument, "verify tdx evidence: no PCK certificate in the quote");
}

// What the host put beside the report, as far as it can be read.
void add_brought(const tee::Evidence& evidence, snp::TrustMaterial& material) {
  const auto table = snp::parse_cert_table(evidence.auxiliary);
  if (!table) return;
  auto brought = snp::certificates_of(*table);
  if (!brought) return;
  std::ranges::move(brought->certificates, std::back_inserter(material.certificates));
  std::ranges::move(brought->crls, std::back_inserter(material.crls));
}

// Where it was looked for stands in the record, and is not for the guest, who is told the message.
std::unexpected<Error> not_had(const Error& error) {
  return fail(Error(error.code(), "verify evidence: what vouches for this platform cannot be had")
                  .with_context(error.to_string()));
}

std::optional<Bytes> resized(const std::optional<Bytes>& bytes, std::size_t size) {
  if (!bytes) return std::nullopt;
  return padded(*bytes, size);
}

}  // namespace

std::vector<Tee> EvidenceVerifier::supported() const {
  std::vector<Tee> out = {Tee::kSnp, Tee::kTdx, Tee::kTpm, Tee::kAzSnpVtpm, Tee::kAzTdxVtpm};
  if (config_.allow_sample) out.push_back(Tee::kSample);
  return out;
}

Result<Verified> EvidenceVerifier::verify(const EvidenceRequest& request,
                                          tee::UnixTime time) const {
  switch (request.tee) {
    case Tee::kSnp:
      return snp(request, time);
    case Tee::kTdx:
      return tdx(request, time);
    case Tee::kTpm:
      return tpm(request, time);
    case Tee::kAzSnpVtpm:
      return azure_snp(request, time);
    case Tee::kAzTdxVtpm:
      return azure_tdx(request, time);
    case Tee::kSample:
      return sample(request);
    default:
      return fail(Code::kUnimplemented,
                  fmt::format("verify evidence of '{}': this service has no verifier for it",
                              protocol::tee_name(request.tee)));
  }
}

Result<snp::TrustMaterial> EvidenceVerifier::snp_material(const tee::Evidence& evidence,
                                                          tee::UnixTime time) const {
  snp::TrustMaterial material = config_.snp;
  if (source_ == nullptr) return material;
  // What cannot be read is refused by the verifier, by name.
  const auto report = snp::decode_report(evidence.report);
  const auto table = snp::parse_cert_table(evidence.auxiliary);
  if (!report || !table) return material;
  snp::TrustMaterial known = material;
  add_brought(evidence, known);
  auto more = source_->snp(*report, known, config_.snp_require_crl, time);
  if (!more) return not_had(more.error());
  std::ranges::move(more->certificates, std::back_inserter(material.certificates));
  std::ranges::move(more->crls, std::back_inserter(material.crls));
  return material;
}

// A chain that was authenticated a while ago is not authenticated again: it costs as much as all
// the rest of a report.
Result<tee::Verdict> EvidenceVerifier::snp_verdict(const tee::Evidence& evidence, BytesView bound,
                                                   tee::UnixTime time) const {
  // Debugging and migration show in claims, and the policies decide: as with Trustee.
  snp::Expectations want;
  want.allow_debug = true;
  want.allow_migrate_ma = true;
  want.require_crl = config_.snp_require_crl;
  const std::string key = snp::EndorsementCache::key(evidence);
  const bool fits = bound.size() <= kSnpReportData;
  if (const auto known = endorsements_.find(key, time); known != nullptr && fits) {
    if (!bound.empty()) want.report_data = padded(bound, kSnpReportData);
    return snp::verify_endorsed(evidence.report, *known, want, time);
  }
  COFFER_TRY(auto material, snp_material(evidence, time));
  const auto verifier = snp::make_verifier(material, want);
  auto verdict = verifier->verify(evidence, bound, time);
  if (verdict.verified()) {
    add_brought(evidence, material);
    endorsements_.keep(key, snp::endorse(evidence.report, material, want.require_crl, time), time);
  }
  return verdict;
}

Result<tee::Verdict> EvidenceVerifier::tdx_verdict(const tee::Evidence& evidence,
                                                   const std::optional<Bytes>& bound,
                                                   tee::UnixTime time) const {
  tdx::Expectations want;
  // MIGRATABLE is no such thing: whoever is bound as its migration TD reads the guest, and a TD 1.0
  // body does not even say who that is.
  want.allow_debug = true;
  want.allow_perfmon = true;
  want.allow_pks = true;
  want.allow_key_locker = true;
  COFFER_TRY(want.accepted_statuses, tdx::parse_accepted_statuses("any"));
  if (bound) {
    auto& field = want.report_data.emplace();
    if (bound->size() > field.size()) {
      return fail(Code::kInvalidArgument, "verify tdx evidence: report data is over 64 bytes");
    }
    std::ranges::copy(*bound, field.begin());
  }
  COFFER_TRY(const Platform platform, platform_of(evidence.report, pck_chains_));
  const auto given = config_.tdx.find(platform.fmspc);
  const tdx::CollateralSet* collateral = given == config_.tdx.end() ? nullptr : &given->second;
  std::shared_ptr<const tdx::CollateralSet> fetched;  // shared: with the source's cache
  if (collateral == nullptr && source_ != nullptr) {
    auto had = source_->tdx(platform.fmspc, platform.ca, time);
    if (!had) return not_had(had.error());
    fetched = *std::move(had);
    collateral = fetched.get();
  }
  if (collateral == nullptr) {
    return fail(Code::kFailedPrecondition,
                fmt::format("verify tdx evidence: no collateral for the platform's FMSPC {} (give "
                            "it to the service: verifier.tdx_collateral_dirs, or let it fetch: "
                            "verifier.tdx_pcs_url)",
                            platform.fmspc));
  }
  tdx::Evidence input{.quote = evidence.report, .event_log = {}};
  if (!evidence.manifest.empty()) input.event_log = evidence.manifest;
  return tdx::verify(input, *collateral, want, time);
}

Result<Verified> EvidenceVerifier::snp(const EvidenceRequest& request, tee::UnixTime time) const {
  COFFER_TRY(const tee::Evidence evidence, evidence::parse_snp(request.evidence));
  const BytesView bound = request.report_data ? BytesView(*request.report_data) : BytesView();
  COFFER_TRY(auto verdict, snp_verdict(evidence, bound, time));
  Verified out{.verdict = std::move(verdict), .claims = {}, .report_data = {}, .init_data = {}};
  const Json& vendor = out.verdict.claims();
  out.report_data = text_at(vendor, "report_data");
  out.init_data = text_at(vendor, "host_data");
  out.claims = snp_claims(vendor);
  check_init_data(resized(request.init_data_digest, 32), out.init_data, out.verdict);
  return out;
}

Result<Verified> EvidenceVerifier::tdx(const EvidenceRequest& request, tee::UnixTime time) const {
  COFFER_TRY(const tee::Evidence evidence, evidence::parse_tdx(request.evidence));
  COFFER_TRY(auto verdict, tdx_verdict(evidence, request.report_data, time));
  Verified out{.verdict = std::move(verdict), .claims = {}, .report_data = {}, .init_data = {}};
  const Json& vendor = out.verdict.claims();
  out.report_data = text_at(vendor, "report_data");
  out.init_data = text_at(vendor, "mr_config_id");
  out.claims = tdx_claims(vendor, evidence.report, out.verdict.verified());
  // Of a log that does not replay to the quote's registers nothing is claimed.
  if (out.verdict.verified() && !evidence.manifest.empty()) {
    COFFER_TRY(out.claims["uefi_event_logs"], event_log_claims(evidence.manifest));
  }
  check_init_data(resized(request.init_data_digest, 48), out.init_data, out.verdict);
  return out;
}

Result<Verified> EvidenceVerifier::tpm(const EvidenceRequest& request, tee::UnixTime time) const {
  COFFER_TRY(const auto parsed, evidence::parse_tpm(request.evidence));
  COFFER_TRY(const auto key, tpm::parse_attestation_key(parsed.attestation_key));
  tpm::Expectations want;
  if (request.report_data) want.nonce = padded(*request.report_data, evidence::kTpmNonceBytes);
  // A policy may read any of them, so all of them must be signed for.
  for (unsigned pcr = 0; pcr < tpm::kPcrCount; ++pcr) want.required_pcrs.insert(pcr);
  tpm::Evidence evidence{
      .attest = parsed.attest, .signature = parsed.signature, .pcrs = parsed.pcrs, .event_log = {}};
  if (!parsed.event_log.empty()) evidence.event_log = parsed.event_log;
  Verified out{.verdict = tpm::verify(evidence, key, want),
               .claims = {},
               .report_data = {},
               .init_data = {}};
  out.claims = tpm_claims(out.verdict.claims());
  out.claims["ak_public"] = to_base64(key.key.spki());
  const auto endorsed = tpm::check_ak_certificate(parsed.ak_certificate, key.key, config_.tpm_roots,
                                                  time, out.verdict);
  out.claims["ak_certified"] = endorsed.certified;
  out.verdict.set_emulated(endorsed.emulated);
  out.report_data = text_at(out.verdict.claims(), "extra_data");
  out.init_data = text_at(out.claims, fmt::format("pcr{:02}", initdata::kTpmPcrIndex).c_str());
  std::optional<Bytes> pcr;
  if (request.init_data_digest) pcr = initdata::extended_pcr(*request.init_data_digest);
  check_init_data(pcr, out.init_data, out.verdict);
  return out;
}

// Proves nothing, whatever it says.
Result<Verified> EvidenceVerifier::sample(const EvidenceRequest& request) const {
  if (!config_.allow_sample) {
    return fail(Code::kFailedPrecondition,
                "verify evidence of 'sample': it proves nothing, and is refused unless the "
                "configuration says verifier.allow_sample = true");
  }
  COFFER_TRY(const auto parsed, evidence::parse_sample(request.evidence));
  Verified out{.verdict = tee::Verdict("sample"), .claims = {}, .report_data = {}, .init_data = {}};
  out.verdict.set_emulated(true);
  out.report_data = to_hex(parsed.report_data);
  if (request.report_data) {
    out.verdict.add_equal("report_data", to_hex(*request.report_data), out.report_data, kProtocol);
  } else {
    out.verdict.add_waived("report_data", out.report_data, "none was given");
  }
  if (request.init_data_digest) out.init_data = to_hex(*request.init_data_digest);
  out.claims = {{"svn", parsed.svn},
                {"report_data", to_base64(parsed.report_data)},
                {"debug", false},
                {"launch_digest", "abcde"},
                {"platform_version", {{"major", 1}, {"minor", 4}}}};
  return out;
}

}  // namespace coffer::appraisal
