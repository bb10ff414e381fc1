#include <nlohmann/json.hpp>

#include "attestation/evidence/tpm_quote.h"

namespace coffer::evidence {
namespace {

constexpr std::size_t kMaxHclReport = std::size_t{64} << 10U;
constexpr std::size_t kMaxQuote = std::size_t{128} << 10U;
constexpr std::uint64_t kNewestVersion = 2;

// The version member came with version 1.
Result<std::uint64_t> version_of(const Fields& fields) {
  if (!fields.has("version")) return std::uint64_t{0};
  COFFER_TRY(const std::uint64_t version, fields.number("version", kNewestVersion));
  if (version == 0) return fields.refuse("version", "is 0, which has no version member");
  return version;
}

// `quote_name`: version 0 of the two formats calls it differently.
Result<AzureEvidence> parse_common(const Fields& fields, const char* quote_name,
                                   const char* report_name) {
  AzureEvidence out;
  COFFER_TRY(out.version, version_of(fields));
  if (out.version == 0) {
    COFFER_TRY(const Fields quote, fields.object(quote_name));
    COFFER_TRY(out.quote, parse_tpm_quote(quote, QuoteForm::kInts));
    COFFER_TRY(out.hcl_report, fields.ints_up_to(report_name, kMaxHclReport));
    return out;
  }
  COFFER_TRY(const Fields quote, fields.object("tpm_quote"));
  COFFER_TRY(out.quote, parse_tpm_quote(quote, QuoteForm::kHex));
  COFFER_TRY(out.hcl_report, fields.base64url("hcl_report"));
  return out;
}

}  // namespace

Result<AzureEvidence> parse_azure_snp(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "az-snp-vtpm evidence"));
  COFFER_TRY(AzureEvidence out, parse_common(fields, "quote", "report"));
  if (out.version == 0) {
    COFFER_TRY(const std::string pem, fields.text("vcek"));
    out.vcek = to_bytes(pem);
  } else {
    COFFER_TRY(out.vcek, fields.base64url("vcek"));
  }
  return out;
}

Result<AzureEvidence> parse_azure_tdx(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "az-tdx-vtpm evidence"));
  COFFER_TRY(AzureEvidence out, parse_common(fields, "tpm_quote", "hcl_report"));
  if (out.version == 0) {
    COFFER_TRY(out.td_quote, fields.ints_up_to("td_quote", kMaxQuote));
  } else {
    COFFER_TRY(out.td_quote, fields.base64url("td_quote"));
  }
  return out;
}

}  // namespace coffer::evidence
