#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "attestation/evidence/tpm_quote.h"
#include "base/json.h"
#include "tee/tpm/key.h"

namespace coffer::evidence {
namespace {

using Json = nlohmann::json;
using eventlog::Alg;

constexpr std::size_t kMaxQuotePart = 4096;
constexpr std::size_t kSha256Bytes = 32;

Result<Bytes> quote_part(const Fields& fields, const char* name, QuoteForm form) {
  switch (form) {
    case QuoteForm::kBase64:
      return fields.base64(name);
    case QuoteForm::kHex:
      return fields.hex(name);
    case QuoteForm::kInts:
      return fields.ints_up_to(name, kMaxQuotePart);
  }
  return fail(Code::kInternal, "unknown form of a quote");
}

Result<Bytes> pcr_value(const Json& value, QuoteForm form) {
  if (form == QuoteForm::kInts) return bytes_of_ints(value, kSha256Bytes);
  if (!value.is_string()) return fail(Code::kInvalidArgument, "has an element that is no string");
  return from_hex(value.get_ref<const std::string&>());
}

Result<tpm::PcrValues> pcr_values(const Fields& fields, QuoteForm form) {
  COFFER_TRY(const Json* list, fields.member("pcrs"));
  if (!list->is_array() || list->size() != tpm::kPcrCount) {
    return fields.refuse("pcrs", fmt::format("is no list of {}", tpm::kPcrCount));
  }
  tpm::PcrValues out;
  for (unsigned pcr = 0; pcr < tpm::kPcrCount; ++pcr) {
    auto value = pcr_value((*list)[pcr], form);
    if (!value) return fields.refuse("pcrs", value.error().message());
    if (value->size() != kSha256Bytes) return fields.refuse("pcrs", "has a PCR not of SHA-256");
    out.emplace(pcr, *std::move(value));
  }
  return out;
}

// What our attester puts beside a quote.
struct Auxiliary {
  Bytes ak_public;  // TPM2B_PUBLIC
  Bytes signature;
  Json pcrs;                   // 24 of hex
  std::string ak_certificate;  // base64; empty: none
};

Result<Auxiliary> read_auxiliary(const Bytes& bytes) {
  COFFER_TRY(const Json json,
             parse_json(as_text(bytes), "auxiliary TPM evidence", {.max_depth = 8}));
  COFFER_TRY(const Fields fields, Fields::of(json, "auxiliary TPM evidence"));
  Auxiliary out;
  COFFER_TRY(out.ak_public, fields.base64("ak_public"));
  COFFER_TRY(out.signature, fields.base64("signature"));
  if (fields.has("ak_certificate")) {
    COFFER_TRY(out.ak_certificate, fields.text("ak_certificate"));
  }
  COFFER_TRY(const Fields banks, fields.object("pcrs"));
  COFFER_TRY(const Fields bank, banks.object("sha256"));
  out.pcrs = Json::array();
  for (unsigned pcr = 0; pcr < tpm::kPcrCount; ++pcr) {
    auto value = bank.text(fmt::to_string(pcr).c_str());
    if (!value) {
      return fail(
          Code::kFailedPrecondition,
          fmt::format("write tpm evidence: no PCR {} of SHA-256; all of 0 to 23 are needed", pcr));
    }
    out.pcrs.push_back(*std::move(value));
  }
  return out;
}

}  // namespace

Result<TpmEvidence> parse_tpm_quote(const Fields& fields, QuoteForm form) {
  TpmEvidence out;
  COFFER_TRY(out.signature, quote_part(fields, "signature", form));
  COFFER_TRY(out.attest, quote_part(fields, "message", form));
  COFFER_TRY(out.pcrs[Alg::kSha256], pcr_values(fields, form));
  return out;
}

Result<TpmEvidence> parse_tpm(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "tpm evidence"));
  COFFER_TRY(const Fields quote, fields.object("tpm_quote"));
  COFFER_TRY(TpmEvidence out, parse_tpm_quote(quote, QuoteForm::kBase64));
  COFFER_TRY(out.attestation_key, fields.base64("ak_public"));
  if (fields.has("ak_tpm_public")) {
    COFFER_TRY(Bytes tpm_public, fields.base64("ak_tpm_public"));
    COFFER_TRY(const auto stated, tpm::parse_attestation_key(out.attestation_key));
    COFFER_TRY(const auto whole, tpm::parse_tpm_public(tpm_public));
    if (!(stated.key == whole.key)) return fields.refuse("ak_tpm_public", "is of another key");
    out.attestation_key = std::move(tpm_public);
  }
  if (fields.has("event_log")) {
    COFFER_TRY(out.event_log, fields.base64("event_log"));
  }
  if (fields.has("ak_certificate")) {
    COFFER_TRY(out.ak_certificate, fields.base64("ak_certificate"));
  }
  return out;
}

Result<nlohmann::json> make_tpm(const tee::Evidence& evidence) {
  if (evidence.tee != "tpm") {
    return fail(Code::kInvalidArgument, "write tpm evidence: it is of '" + evidence.tee + "'");
  }
  COFFER_TRY(Auxiliary auxiliary, read_auxiliary(evidence.auxiliary));
  COFFER_TRY(const auto key, tpm::parse_tpm_public(auxiliary.ak_public));
  Json out = {{"ak_public", to_base64(key.key.spki())},
              {"ak_tpm_public", to_base64(auxiliary.ak_public)},
              {"tpm_quote",
               {{"signature", to_base64(auxiliary.signature)},
                {"message", to_base64(evidence.report)},
                {"pcrs", std::move(auxiliary.pcrs)}}}};
  if (!evidence.manifest.empty()) out["event_log"] = to_base64(evidence.manifest);
  if (!auxiliary.ak_certificate.empty()) out["ak_certificate"] = auxiliary.ak_certificate;
  return out;
}

}  // namespace coffer::evidence
