#include "tee/tdx/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coffer::tdx {
namespace {

constexpr std::string_view kRfc5280 = "RFC 5280, section 6.1";
constexpr std::string_view kCrlProfile =
    "Intel SGX PCK Certificate and CRL Profile rev. 1.5, section 1.4";
// Organisation, locality, state, country.
constexpr std::array<std::string_view, 4> kNameOids = {"2.5.4.10", "2.5.4.7", "2.5.4.8", "2.5.4.6"};

tee::Check check(std::string_view prefix, std::string_view what, bool ok, std::string expected,
                 std::string found, std::string_view source) {
  return {.name = std::string(prefix).append(".").append(what),
          .ok = ok,
          .expected = std::move(expected),
          .found = std::move(found),
          .source = std::string(source)};
}

bool one_of(const std::vector<std::string_view>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Exactly the allowed common name, and for the rest exactly what the root says of itself.
bool name_fits(const tee::Certificate& certificate, const tee::Certificate& root,
               const std::vector<std::string_view>& allowed) {
  const tee::Name& name = certificate.subject();
  return name.attributes.size() == kNameOids.size() + 1 && one_of(allowed, name.common_name()) &&
         std::ranges::all_of(kNameOids, [&](std::string_view oid) {
           return !name.get(oid).empty() && name.get(oid) == root.subject().get(oid);
         });
}

tee::Check names_check(const ChainSpec& spec, Chain chain) {
  std::string found;
  std::string expected;
  bool ok = true;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    ok = ok && name_fits(chain[i], chain.back(), spec.common_names[i]);
    ok = ok && chain[i].names_issuer(i + 1 < chain.size() ? chain[i + 1] : chain[i]);
    found += fmt::format("{}{}", i == 0 ? "" : " < ", chain[i].subject().common_name());
    expected += fmt::format("{}{}", i == 0 ? "" : " < ", fmt::join(spec.common_names[i], " or "));
  }
  return check(spec.name, "names", ok, std::move(expected), std::move(found), kPckProfile);
}

// Empty when the certificate fits its place; `depth` is 0 for a leaf.
std::string ca_problem(const tee::Certificate& certificate, std::size_t depth) {
  const bool issuer = depth > 0;
  if (certificate.is_ca() != issuer) return issuer ? "is no CA" : "is a CA";
  if (issuer && certificate.may_sign_certificates() != true) return "may not sign certificates";
  // Certificates between it and the leaf, itself not counted.
  if (issuer && certificate.path_length() && *certificate.path_length() < depth - 1) {
    return "path is too long for it";
  }
  const auto unknown = certificate.unknown_critical_extensions();
  return unknown.empty() ? "" : "unknown critical extension " + unknown.front();
}

tee::Check ca_check(const ChainSpec& spec, Chain chain) {
  std::string problems;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const std::string problem = ca_problem(chain[i], i + (spec.begins_with_ca ? 1 : 0));
    if (problem.empty()) continue;
    problems += fmt::format("{}'{}' {}", problems.empty() ? "" : "; ",
                            chain[i].subject().common_name(), problem);
  }
  const bool ok = problems.empty();
  return check(spec.name, "ca", ok, "CAs, and a leaf that is none", ok ? "as wanted" : problems,
               "RFC 5280, sections 4.2.1.3 and 4.2.1.9");
}

bool signed_by(const tee::Certificate& certificate, const tee::Certificate& issuer) {
  return certificate.scheme() == tee::SignatureScheme::kEcdsaSha256 &&
         issuer.public_key().curve() == tee::Curve::kP256 &&
         certificate.signature_by(issuer.public_key());
}

tee::Check signatures_check(const ChainSpec& spec, Chain chain, const tee::Certificate* known) {
  std::string broken;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    // From the known issuer up, everything was authenticated before.
    if (known != nullptr && chain[i].der() == known->der()) break;
    const tee::Certificate& issuer = i + 1 < chain.size() ? chain[i + 1] : chain[i];
    if (signed_by(chain[i], issuer)) continue;
    broken = fmt::format("that of '{}' does not verify", chain[i].subject().common_name());
    break;
  }
  const bool ok = broken.empty();
  return check(spec.name, "signatures", ok, "ECDSA P-256 with SHA-256, each by the next",
               ok ? "all verify" : broken, kRfc5280);
}

}  // namespace

const ChainSpec& pck_chain_spec() {
  static const ChainSpec spec{"pck_chain",
                              {{kPckName}, {kPlatformCaName, kProcessorCaName}, {kRootName}}};
  return spec;
}

const ChainSpec& tcb_signing_chain_spec() {
  static const ChainSpec spec{"tcb_signing_chain", {{kTcbSigningName}, {kRootName}}};
  return spec;
}

const ChainSpec& crl_issuer_chain_spec() {
  static const ChainSpec spec{
      "pck_crl_issuer_chain", {{kPlatformCaName, kProcessorCaName}, {kRootName}}, true};
  return spec;
}

Checks chain_checks(const ChainSpec& spec, Chain chain, const TrustAnchors& anchors,
                    const tee::Certificate* known_issuer) {
  Checks checks;
  const std::size_t want = spec.common_names.size();
  checks.push_back(check(spec.name, "length", chain.size() == want,
                         fmt::format("{} certificates", want),
                         fmt::format("{} certificates", chain.size()), kPckProfile));
  if (!checks.back().ok) return checks;
  checks.push_back(check(spec.name, "root", anchors.trusts(chain.back()), anchors.describe(),
                         fmt::format("{} {}", chain.back().subject().common_name(),
                                     to_hex(chain.back().fingerprint())),
                         "pinned trust anchor"));
  checks.push_back(names_check(spec, chain));
  checks.push_back(ca_check(spec, chain));
  checks.push_back(signatures_check(spec, chain, known_issuer));
  return checks;
}

tee::Check validity_check(const ChainSpec& spec, Chain chain, tee::UnixTime time) {
  std::string found = "all are";
  bool ok = true;
  for (const auto& certificate : chain) {
    if (certificate.valid_at(time)) continue;
    ok = false;
    found = fmt::format("'{}' is valid from {} to {}", certificate.subject().common_name(),
                        tee::format_rfc3339(certificate.not_before()),
                        tee::format_rfc3339(certificate.not_after()));
    break;
  }
  return check(spec.name, "validity", ok, "valid at " + tee::format_rfc3339(time), std::move(found),
               "RFC 5280, section 6.1.3 (a)(2)");
}

Checks crl_checks(std::string_view name, const tee::Crl& crl, const tee::Certificate& issuer) {
  Checks checks;
  checks.push_back(check(name, "issuer", crl.issuer().der == issuer.subject().der,
                         issuer.subject().to_text(), crl.issuer().to_text(), kCrlProfile));
  const bool ok = crl.scheme() == tee::SignatureScheme::kEcdsaSha256 &&
                  !crl.has_unknown_critical_extension() && issuer.may_sign_crls() == true &&
                  crl.signature_by(issuer.public_key());
  checks.push_back(check(name, "signature", ok,
                         fmt::format("by '{}'", issuer.subject().common_name()),
                         ok ? "verifies" : "does not verify", "RFC 5280, section 6.3.3 (g)"));
  return checks;
}

tee::Check crl_fresh_check(std::string_view name, const tee::Crl& crl, tee::UnixTime time) {
  const auto next = crl.next_update();
  return check(name, "fresh", crl.fresh_at(time),
               fmt::format("in force at {}", tee::format_rfc3339(time)),
               fmt::format("from {} to {}", tee::format_rfc3339(crl.this_update()),
                           next ? tee::format_rfc3339(*next) : "an unknown time"),
               "RFC 5280, section 6.3.3 (a)");
}

tee::Check not_revoked_check(std::string_view name, const tee::Crl& crl,
                             const tee::Certificate& certificate) {
  const bool revoked = crl.revokes(certificate.serial());
  return {.name = std::string(name),
          .ok = !revoked,
          .expected = fmt::format("serial {} not revoked", to_hex(certificate.serial())),
          .found = revoked ? "revoked" : "not revoked",
          .source = "RFC 5280, section 6.3.3 (i)"};
}

bool all_ok(const Checks& checks) { return std::ranges::all_of(checks, &tee::Check::ok); }

}  // namespace coffer::tdx
