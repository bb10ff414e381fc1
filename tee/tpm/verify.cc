#include "tee/tpm/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tee/tpm/verify_parts.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;

constexpr std::string_view kAttestSpec = "TPM 2.0 Library part 2 rev. 1.59, 10.12.12 TPMS_ATTEST";
constexpr std::string_view kQuoteInfo = "TPM 2.0 Library part 2 rev. 1.59, 10.12.4 TPMS_QUOTE_INFO";
constexpr std::string_view kSignatureSpec =
    "TPM 2.0 Library part 2 rev. 1.59, 11.3.4 TPMT_SIGNATURE";
constexpr std::string_view kHclSpec = "Azure HCL attestation report, runtime data";
constexpr std::string_view kExpectation = "expectation";

std::string list(const std::set<unsigned>& pcrs) {
  return pcrs.empty() ? "none" : fmt::format("{}", fmt::join(pcrs, ","));
}

bool verify_signature(const tee::PublicKey& key, BytesView message, const Signature& signature) {
  using tee::SignatureScheme;
  const bool sha256 = signature.hash == Alg::kSha256;
  // SHA-1 and the rest are no longer good enough to sign with.
  if (!sha256 && signature.hash != Alg::kSha384) return false;
  if (signature.kind == SignatureKind::kRsaSsa) {
    return key.is_rsa() &&
           key.verify(sha256 ? SignatureScheme::kRsaPkcs1Sha256 : SignatureScheme::kRsaPkcs1Sha384,
                      message, signature.rsa);
  }
  if (!key.curve()) return false;
  const std::size_t size = tee::curve_size(*key.curve());
  const auto pad = [&](const Bytes& scalar) {
    Bytes out(size > scalar.size() ? size - scalar.size() : 0);
    out.insert(out.end(), scalar.begin(), scalar.end());
    return out;
  };
  if (signature.r.size() > size || signature.s.size() > size) return false;
  return key.verify_ecdsa(sha256 ? tee::HashAlgorithm::kSha256 : tee::HashAlgorithm::kSha384,
                          message, pad(signature.r), pad(signature.s));
}

void check_signature(const Evidence& evidence, const tee::PublicKey& key, tee::Verdict& verdict) {
  const auto signature = parse_signature(evidence.signature);
  const bool ok = signature && verify_signature(key, evidence.attest, *signature);
  verdict.add("signature", ok, "by the attestation key, with SHA-256 or SHA-384",
              ok          ? "verifies"
              : signature ? "does not verify"
                          : signature.error().to_string(),
              kSignatureSpec);
}

void check_nonce(const Quote& quote, const Expectations& want, tee::Verdict& verdict) {
  if (!want.nonce) {
    verdict.add_waived("nonce", to_hex(quote.extra_data), "no nonce was given");
    return;
  }
  verdict.add("nonce", equal_constant_time(*want.nonce, quote.extra_data), to_hex(*want.nonce),
              to_hex(quote.extra_data), "expectation, against extraData");
}

const PcrSelection* find_bank(const Quote& quote, Alg bank) {
  const auto it = std::ranges::find(quote.selections, bank, &PcrSelection::bank);
  return it == quote.selections.end() ? nullptr : &*it;
}

std::set<unsigned> required(const Expectations& want) {
  std::set<unsigned> out = want.required_pcrs;
  for (const auto& [pcr, value] : want.values) out.insert(pcr);
  return out;
}

// An attacker quotes fewer PCRs than the policy reads, and claims the rest.
void check_selection(const Quote& quote, const Expectations& want, tee::Verdict& verdict) {
  const PcrSelection* bank = find_bank(quote, want.bank);
  verdict.add("selection.bank", bank != nullptr, std::string(eventlog::alg_name(want.bank)),
              bank != nullptr ? std::string(eventlog::alg_name(want.bank)) : "not selected",
              kQuoteInfo);
  const std::set<unsigned> selected = bank != nullptr ? bank->pcrs : std::set<unsigned>{};
  const std::set<unsigned> needed = required(want);
  const bool ok = !selected.empty() && std::ranges::includes(selected, needed);
  verdict.add("selection.pcrs", ok, needed.empty() ? "some" : "at least " + list(needed),
              list(selected), kQuoteInfo);
}

// The hash of the values of the selected PCRs, ascending, bank after bank.
Result<Bytes> digest_of(const Quote& quote, const PcrBanks& pcrs) {
  Bytes all;
  for (const auto& selection : quote.selections) {
    const auto bank = pcrs.find(selection.bank);
    for (const unsigned pcr : selection.pcrs) {
      const auto* value =
          bank != pcrs.end() && bank->second.contains(pcr) ? &bank->second.at(pcr) : nullptr;
      if (value == nullptr || value->size() != eventlog::alg_size(selection.bank)) {
        return fail(Code::kNotFound, fmt::format("no value of PCR {} in bank {}", pcr,
                                                 eventlog::alg_name(selection.bank)));
      }
      all.insert(all.end(), value->begin(), value->end());
    }
  }
  // The digest's algorithm is the signing scheme's; its length tells which.
  for (const Alg alg : {Alg::kSha256, Alg::kSha384, Alg::kSha512}) {
    if (eventlog::alg_size(alg) == quote.pcr_digest.size()) return eventlog::hash(alg, all);
  }
  return fail(Code::kInvalidArgument, "the PCR digest has the size of no known hash");
}

bool check_digest(const Quote& quote, const PcrBanks& pcrs, tee::Verdict& verdict) {
  const auto digest = digest_of(quote, pcrs);
  return verdict.add(
      "pcr_digest", digest && *digest == quote.pcr_digest,
      "that of the claimed values: " + (digest ? to_hex(*digest) : digest.error().to_string()),
      to_hex(quote.pcr_digest), kQuoteInfo);
}

void check_values(const PcrValues& values, const Expectations& want, tee::Verdict& verdict) {
  for (const auto& [pcr, value] : want.values) {
    const auto it = values.find(pcr);
    verdict.add(fmt::format("expect.pcr_{}", pcr), it != values.end() && it->second == value,
                to_hex(value), it == values.end() ? "not quoted" : to_hex(it->second),
                kExpectation);
  }
}

void add_claims(const Quote& quote, const PcrBanks& pcrs, tee::Verdict& verdict) {
  auto& claims = verdict.claims();
  claims["qualified_signer"] = to_hex(quote.qualified_signer);
  claims["extra_data"] = to_hex(quote.extra_data);
  claims["clock"] = quote.clock;
  claims["reset_count"] = quote.reset_count;
  claims["restart_count"] = quote.restart_count;
  claims["safe"] = quote.safe;
  claims["firmware_version"] = fmt::format("{:#x}", quote.firmware_version);
  claims["pcr_digest"] = to_hex(quote.pcr_digest);
  claims["pcrs"] = nlohmann::json::object();
  for (const auto& selection : quote.selections) {
    // Only what was quoted.
    auto& bank = claims["pcrs"][std::string(eventlog::alg_name(selection.bank))];
    bank = nlohmann::json::object();
    const auto values = pcrs.find(selection.bank);
    for (const unsigned pcr : selection.pcrs) {
      if (values == pcrs.end() || !values->second.contains(pcr)) continue;
      bank[fmt::to_string(pcr)] = to_hex(values->second.at(pcr));
    }
  }
}

PcrValues quoted_values(const Quote& quote, const PcrBanks& pcrs, Alg bank) {
  PcrValues out;
  const PcrSelection* selection = find_bank(quote, bank);
  const auto values = pcrs.find(bank);
  if (selection == nullptr || values == pcrs.end()) return out;
  for (const unsigned pcr : selection->pcrs) {
    if (values->second.contains(pcr)) out[pcr] = values->second.at(pcr);
  }
  return out;
}

// Whose key is it? What it says of itself, and what hardware says of it.
void check_key(const AttestationKey& attestation_key, const Expectations& want,
               tee::Verdict& verdict) {
  if (attestation_key.restricted) {
    verdict.add("ak.restricted", *attestation_key.restricted,
                "a restricted signing key, fixed to its TPM",
                *attestation_key.restricted ? "it is" : "it is not",
                "TPM 2.0 Library part 2 rev. 1.59, 8.3 TPMA_OBJECT");
  } else {
    verdict.add_waived("ak.restricted", "unknown", "the key's form does not tell");
  }
  const auto& digest = attestation_key.bound_digest;
  if (digest) verdict.claims()["attestation_key_bound_digest"] = to_hex(*digest);
  if (!want.hardware_report_data) {
    if (digest)
      verdict.add_waived("ak.bound", to_hex(*digest), "no hardware report data was given");
    return;
  }
  Bytes expected = digest.value_or(Bytes());
  expected.resize(want.hardware_report_data->size());
  verdict.add("ak.bound", digest && expected == *want.hardware_report_data,
              "report data " + to_hex(*want.hardware_report_data),
              digest ? to_hex(expected) : "the key comes with no digest", kHclSpec);
}

}  // namespace

tee::Verdict verify(const Evidence& evidence, const AttestationKey& attestation_key,
                    const Expectations& expectations) {
  tee::Verdict verdict("tpm");
  check_key(attestation_key, expectations, verdict);
  check_signature(evidence, attestation_key.key, verdict);
  const auto quote = parse_attest(evidence.attest);
  if (!verdict.add("attest.format", quote.has_value(), "a TPMS_ATTEST",
                   quote ? "a TPMS_ATTEST" : quote.error().to_string(), kAttestSpec)) {
    return verdict;
  }
  verdict.add_equal("attest.magic", fmt::format("{:#x}", kGeneratedMagic),
                    fmt::format("{:#x}", quote->magic), kAttestSpec);
  if (!verdict.add_equal("attest.type", fmt::format("{:#x}", kAttestQuote),
                         fmt::format("{:#x}", quote->type), kAttestSpec)) {
    return verdict;
  }
  add_claims(*quote, evidence.pcrs, verdict);
  verdict.claims()["attestation_key"] = to_hex(attestation_key.key.spki());
  check_nonce(*quote, expectations, verdict);
  check_selection(*quote, expectations, verdict);
  check_digest(*quote, evidence.pcrs, verdict);
  const PcrValues values = quoted_values(*quote, evidence.pcrs, expectations.bank);
  check_values(values, expectations, verdict);
  if (evidence.event_log) {
    check_log(*evidence.event_log, values, expectations, verdict);
  } else if (expectations.boot) {
    verdict.add_waived("boot", "no event log",
                       "the PCR values tell of the boot, but not what differs");
  }
  return verdict;
}

}  // namespace coffer::tpm
