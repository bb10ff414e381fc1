#include "tee/tpm/ak_certificate.h"

#include <fmt/format.h>

#include <vector>

#include "tee/der.h"
#include "tee/emulated_root.h"
#include "tee/x509_bundle.h"

namespace coffer::tpm {
namespace {

constexpr std::string_view kSource = "RFC 5280, section 6.1";
constexpr std::string_view kExtendedKeyUsage = "2.5.29.37";
constexpr std::string_view kAnyUsage = "2.5.29.37.0";
// tcg-kp-AIKCertificate: TCG, TPM 2.0 Keys for Device Identity and Attestation rev. 1.0, 4.4.
constexpr std::string_view kAttestationUsage = "2.23.133.8.3";
constexpr std::size_t kMaxCertificates = 4;
constexpr std::size_t kMaxBytes = std::size_t{64} << 10U;

using Certificates = std::span<const tee::Certificate>;

// `below`: how many issuers stand between it and the leaf.
bool issued(const tee::Certificate& issuer, const tee::Certificate& subject, std::size_t below) {
  return subject.names_issuer(issuer) && issuer.is_ca() &&
         issuer.may_sign_certificates().value_or(true) &&
         issuer.path_length().value_or(below) >= below &&
         issuer.unknown_critical_extensions().empty() && subject.signature_by(issuer.public_key());
}

const tee::Certificate* issuer_among(Certificates candidates, const tee::Certificate& subject,
                                     std::size_t below) {
  for (const auto& candidate : candidates) {
    if (issued(candidate, subject, below)) return &candidate;
  }
  return nullptr;
}

struct Path {
  std::vector<const tee::Certificate*> certificates;  // leaf first; the root last, when found
  const tee::Certificate* root = nullptr;
  std::string end;  // why it leads no further
};

Path walk(Certificates given, Certificates roots) {
  Path path;
  path.certificates.push_back(&given.front());
  for (std::size_t below = 0; below < kMaxCertificates; ++below) {
    const tee::Certificate& last = *path.certificates.back();
    path.root = issuer_among(roots, last, below);
    const auto* next =
        path.root != nullptr ? path.root : issuer_among(given.subspan(1), last, below);
    if (next == nullptr) break;
    path.certificates.push_back(next);
    if (path.root != nullptr) return path;
  }
  path.end = fmt::format("nobody known issued '{}': its issuer is '{}'",
                         path.certificates.back()->subject().to_text(),
                         path.certificates.back()->issuer().to_text());
  return path;
}

Result<bool> names_attestation(BytesView usage) {
  tee::DerReader outer(usage, "extended key usage");
  COFFER_TRY(tee::DerReader list, outer.enter(tee::DerTag::kSequence));
  COFFER_TRY_VOID(outer.expect_end());
  bool found = false;
  while (!list.at_end()) {
    COFFER_TRY(const std::string oid, list.oid());
    found = found || oid == kAttestationUsage || oid == kAnyUsage;
  }
  return found;
}

// A root may issue certificates for other things, TLS above all, to keys that lie in files: with
// one of those anybody could make up a quote.
std::string leaf_problem(const tee::Certificate& leaf) {
  if (leaf.is_ca()) return "the key's certificate is a CA's";
  const auto unknown = leaf.unknown_critical_extensions();
  if (!unknown.empty()) return "unknown critical extension " + unknown.front();
  const auto* usage = leaf.extension(kExtendedKeyUsage);
  if (usage == nullptr) return "";
  const auto attests = names_attestation(usage->value);
  if (!attests) return attests.error().message();
  return *attests ? "" : "it is for another use than a TPM's attestation (extended key usage)";
}

bool check_chain(const Path& path, tee::Verdict& verdict) {
  std::string problem = path.root == nullptr ? path.end : leaf_problem(*path.certificates.front());
  const bool ok = problem.empty();
  return verdict.add("ak.certificate.chain", ok, "a chain to one of the configured roots",
                     ok ? fmt::format("'{}'", path.root->subject().to_text()) : problem, kSource);
}

bool check_validity(const Path& path, tee::UnixTime time, tee::Verdict& verdict) {
  for (const auto* certificate : path.certificates) {
    if (certificate->valid_at(time)) continue;
    return verdict.add("ak.certificate.validity", false, "valid at " + tee::format_rfc3339(time),
                       fmt::format("'{}' is valid from {} to {}", certificate->subject().to_text(),
                                   tee::format_rfc3339(certificate->not_before()),
                                   tee::format_rfc3339(certificate->not_after())),
                       kSource);
  }
  return verdict.add("ak.certificate.validity", true, "valid at " + tee::format_rfc3339(time),
                     "all are", kSource);
}

}  // namespace

AkEndorsement check_ak_certificate(BytesView certificates, const tee::PublicKey& key,
                                   Certificates roots, tee::UnixTime time, tee::Verdict& verdict) {
  if (certificates.empty() || roots.empty()) {
    verdict.add_waived("ak.certificate", certificates.empty() ? "none came" : "one came",
                       certificates.empty() ? "only who knows the key can trust it"
                                            : "no root of attestation keys is configured");
    return {};
  }
  const auto bundle = tee::parse_x509_bundle(
      certificates, "attestation key's certificate",
      {.max_bytes = kMaxBytes, .max_objects = kMaxCertificates, .text_between_blocks = false});
  const bool readable = bundle && !bundle->certificates.empty();
  if (!verdict.add("ak.certificate", readable, "a certificate",
                   readable ? bundle->certificates.front().subject().to_text()
                   : bundle ? "none"
                            : bundle.error().to_string(),
                   "RFC 5280")) {
    return {};
  }
  const Certificates given = bundle->certificates;
  const bool same = verdict.add_equal("ak.certificate.key", to_hex(key.spki()),
                                      to_hex(given.front().public_key().spki()), kSource);
  const Path path = walk(given, roots);
  const bool chained = check_chain(path, verdict);
  const bool valid = check_validity(path, time, verdict);
  AkEndorsement out;
  out.certified = same && chained && valid;
  out.emulated = path.root != nullptr && tee::is_emulator_root(*path.root);
  return out;
}

}  // namespace coffer::tpm
