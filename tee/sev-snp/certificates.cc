#include "tee/sev-snp/certificates.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tee/emulated_root.h"
#include "tee/sev-snp/issuer.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kSource = "AMD 57230 section 3";
constexpr std::string_view kX509 = "RFC 5280 section 6.1";
constexpr std::string_view kCrlSource = "RFC 5280 section 6.3; AMD 57230 section 4";
constexpr int kRsaBits = 4096;
constexpr std::string_view kPss = "RSASSA-PSS SHA-384 MGF1-SHA-384 salt 48";

std::string scheme_text(tee::SignatureScheme scheme) {
  switch (scheme) {
    case tee::SignatureScheme::kRsaPssSha384:
      return std::string(kPss);
    case tee::SignatureScheme::kRsaPkcs1Sha256:
    case tee::SignatureScheme::kRsaPkcs1Sha384:
      return "RSASSA-PKCS1-v1_5";
    case tee::SignatureScheme::kEcdsaSha256:
    case tee::SignatureScheme::kEcdsaSha384:
      return "ECDSA";
    case tee::SignatureScheme::kUnknown:
      return "another algorithm or other parameters";
  }
  return "unknown";
}

std::string key_text(const tee::PublicKey& key) {
  if (key.is_rsa()) return fmt::format("RSA-{}", key.bits());
  return key.curve() == tee::Curve::kP384 ? "EC P-384" : "EC P-256";
}

// Walks one chain and writes down what it sees.
class ChainCheck {
 public:
  ChainCheck(const tee::Certificate& leaf, const TrustMaterial& material, bool require_crl,
             tee::UnixTime time)
      : leaf_(leaf), material_(material), require_crl_(require_crl), time_(time) {
    out_.valid_from = leaf.not_before();
    out_.valid_until = leaf.not_after();
  }

  Endorsement run() {
    check_leaf();
    const auto intermediate = find_intermediate(leaf_, material_);
    check_intermediate(intermediate);
    const auto root = find_root(intermediate, material_);
    check_root(intermediate, root);
    check_crls(intermediate, root);
    out_.leaf = leaf_;
    return std::move(out_);
  }

 private:
  bool add(std::string_view name, bool ok, std::string_view expected, std::string_view found,
           std::string_view source) {
    out_.checks.push_back({.name = std::string(name),
                           .ok = ok,
                           .expected = std::string(expected),
                           .found = std::string(found),
                           .source = std::string(source)});
    return ok;
  }

  void check_validity(std::string_view name, tee::UnixTime not_before, tee::UnixTime not_after) {
    out_.valid_from = std::max(out_.valid_from, not_before);
    out_.valid_until = std::min(out_.valid_until, not_after);
    add(name, not_before <= time_ && time_ <= not_after,
        fmt::format("{}..{}", tee::format_rfc3339(not_before), tee::format_rfc3339(not_after)),
        tee::format_rfc3339(time_), "RFC 5280 section 4.1.2.5");
  }

  void check_leaf();
  void check_leaf_extensions();
  void check_intermediate(const std::optional<Issuer>& intermediate);
  void check_ca(std::string_view name, const Issuer& issuer);
  void check_root(const std::optional<Issuer>& intermediate, const std::optional<Issuer>& root);
  void check_supplied_roots(const Issuer& root);
  void check_crls(const std::optional<Issuer>& intermediate, const std::optional<Issuer>& root);
  void check_crl(const tee::Crl& crl, const Issuer& intermediate, const Issuer& root);

  const tee::Certificate& leaf_;
  const TrustMaterial& material_;
  bool require_crl_;
  tee::UnixTime time_;
  Endorsement out_;
};

void ChainCheck::check_leaf() {
  const auto kind = leaf_kind(leaf_);
  add("chain.leaf", kind.has_value(), "SEV-VCEK or SEV-VLEK", leaf_.subject().common_name(),
      kSource);
  out_.kind = kind.value_or(LeafKind::kVcek);
  add("chain.leaf_names", is_amd_name(leaf_.subject()) && is_amd_name(leaf_.issuer()),
      "AMD's attributes", leaf_.subject().to_text(), kSource);
  add("chain.leaf_algorithm", leaf_.scheme() == tee::SignatureScheme::kRsaPssSha384, kPss,
      scheme_text(leaf_.scheme()), kSource);
  add("chain.leaf_key", leaf_.public_key().curve() == tee::Curve::kP384, "EC P-384",
      key_text(leaf_.public_key()), kSource);
  add("chain.leaf_not_ca", !leaf_.is_ca(), "no CA", leaf_.is_ca() ? "CA" : "no CA", kX509);
  const auto critical = leaf_.unknown_critical_extensions();
  add("chain.critical_extensions", critical.empty(), "none unknown",
      fmt::format("{} unknown", critical.size()), "RFC 5280 section 4.2");
  check_validity("chain.leaf_validity", leaf_.not_before(), leaf_.not_after());
  check_leaf_extensions();
}

void ChainCheck::check_leaf_extensions() {
  auto extensions = read_leaf_extensions(leaf_, out_.kind);
  add("chain.leaf_extensions", extensions.has_value(), "as the kind of leaf demands",
      extensions ? "well formed" : extensions.error().message(), "AMD 57230 table 8");
  if (extensions) out_.extensions = *std::move(extensions);
}

void ChainCheck::check_intermediate(const std::optional<Issuer>& intermediate) {
  const bool vlek = out_.kind == LeafKind::kVlek;
  const std::string_view wanted = vlek ? "SEV-VLEK-<product>" : "SEV-<product>";
  const std::string_view issuer_name = leaf_.issuer().common_name();
  const auto named = issuer_of_name(issuer_name);
  const bool kind_ok = named && named->role == (vlek ? KeyRole::kAsvk : KeyRole::kAsk);
  add("chain.issuer_kind", kind_ok, wanted, issuer_name, kSource);
  if (named) out_.product = named->product;
  if (out_.extensions) {
    const std::string_view product = named ? product_name(named->product) : "a known product";
    add("chain.product_name", named && out_.extensions->product() == product, product,
        out_.extensions->product_name, "AMD 57230 table 8");
  }
  if (!add("chain.intermediate", intermediate.has_value(), issuer_name,
           intermediate ? intermediate->to_text() : "not among the certificates", kX509)) {
    return;
  }
  const bool signature = leaf_.signature_by(intermediate->key);
  add("chain.leaf_signature", signature, "valid under the intermediate",
      signature ? "valid" : "invalid", kX509);
  check_ca("chain.intermediate_ca", *intermediate);
  check_validity("chain.intermediate_validity", intermediate->not_before, intermediate->not_after);
}

void ChainCheck::check_ca(std::string_view name, const Issuer& issuer) {
  std::string found = key_text(issuer.key);
  bool ok = issuer.key.is_rsa() && issuer.key.bits() >= kRsaBits;
  if (issuer.certificate) {
    const tee::Certificate& certificate = *issuer.certificate;
    const bool signs = certificate.may_sign_certificates().value_or(true);
    const bool critical_known = certificate.unknown_critical_extensions().empty();
    ok = ok && certificate.is_ca() && signs && critical_known && is_amd_name(certificate.subject());
    found += fmt::format("{}{}{}", certificate.is_ca() ? ", CA" : ", no CA",
                         signs ? "" : ", may not sign certificates",
                         critical_known ? "" : ", unknown critical extension");
  }
  add(name, ok, "RSA-4096 CA that may sign certificates", found, kX509);
}

void ChainCheck::check_root(const std::optional<Issuer>& intermediate,
                            const std::optional<Issuer>& root) {
  const bool configured = !material_.trusted_roots.empty();
  const std::string_view wanted = configured ? "a configured trusted root" : "a pinned AMD root";
  if (!add("chain.root", root.has_value(), wanted,
           root ? root->to_text() : "none that issued the intermediate", "trust anchor")) {
    return;
  }
  out_.root = root->to_text();
  out_.emulated = root->certificate && tee::is_emulator_root(*root->certificate);
  if (intermediate) {
    const bool ok = signed_by_root(*intermediate, *root);
    add("chain.intermediate_signature", ok, "valid under the root", ok ? "valid" : "invalid",
        kX509);
    if (intermediate->certificate) {
      const auto scheme = intermediate->certificate->scheme();
      add("chain.intermediate_algorithm", scheme == tee::SignatureScheme::kRsaPssSha384, kPss,
          scheme_text(scheme), kSource);
    }
    const bool same_product = root->product == intermediate->product;
    add("chain.root_product", same_product, product_name(intermediate->product),
        product_name(root->product), kSource);
  }
  check_ca("chain.root_ca", *root);
  check_validity("chain.root_validity", root->not_before, root->not_after);
  check_supplied_roots(*root);
}

// A root among the host's certificates decides nothing, but one that only pretends to be ours is
// an attack or an accident, and worth a word.
void ChainCheck::check_supplied_roots(const Issuer& root) {
  for (const auto& certificate : material_.certificates) {
    if (!certificate.is_self_issued() || certificate.subject().common_name() != root.common_name) {
      continue;
    }
    const bool same = certificate.fingerprint() == root.fingerprint;
    add("chain.supplied_root", same, to_hex(root.fingerprint), to_hex(certificate.fingerprint()),
        "trust anchor");
  }
}

void ChainCheck::check_crls(const std::optional<Issuer>& intermediate,
                            const std::optional<Issuer>& root) {
  if (material_.crls.empty()) {
    add("chain.crl", !require_crl_, require_crl_ ? "a revocation list" : "any (waived)", "none",
        require_crl_ ? "expectation require_crl" : "require_crl is off");
    return;
  }
  if (!intermediate || !root) return;
  bool any = false;
  for (const auto& crl : material_.crls) {
    if (!is_amd_name(crl.issuer()) || crl.issuer().common_name() != root->common_name) continue;
    any = true;
    check_crl(crl, *intermediate, *root);
  }
  add("chain.crl", any, fmt::format("a revocation list of {}", root->common_name),
      any ? "given" : material_.crls.front().issuer().to_text(), kCrlSource);
}

void ChainCheck::check_crl(const tee::Crl& crl, const Issuer& intermediate, const Issuer& root) {
  const bool may_sign = !root.certificate || root.certificate->may_sign_crls().value_or(true);
  const bool signature = may_sign && crl.signature_by(root.key) &&
                         crl.scheme() == tee::SignatureScheme::kRsaPssSha384 &&
                         !crl.has_unknown_critical_extension();
  add("chain.crl_signature", signature, "valid under the root", signature ? "valid" : "invalid",
      kCrlSource);
  const std::string until =
      crl.next_update() ? tee::format_rfc3339(*crl.next_update()) : "no nextUpdate";
  add("chain.crl_fresh", crl.fresh_at(time_),
      fmt::format("{}..{}", tee::format_rfc3339(crl.this_update()), until),
      tee::format_rfc3339(time_), kCrlSource);
  const bool revoked = crl.revokes(intermediate.serial);
  add("chain.crl_revocation", !revoked, "intermediate not revoked",
      revoked ? fmt::format("serial {} revoked", to_hex(intermediate.serial)) : "not revoked",
      kCrlSource);
  out_.valid_from = std::max(out_.valid_from, crl.this_update());
  // fresh_at() excludes nextUpdate itself, valid_until is the last good second.
  out_.valid_until = std::min(out_.valid_until, crl.next_update().value_or(0) - 1);
}

}  // namespace

bool Endorsement::trusted() const {
  return !checks.empty() &&
         std::all_of(checks.begin(), checks.end(), [](const tee::Check& c) { return c.ok; });
}

Endorsement authenticate(const tee::Certificate& leaf, const TrustMaterial& material,
                         bool require_crl, tee::UnixTime time) {
  return ChainCheck(leaf, material, require_crl, time).run();
}

Endorsement no_endorsement() {
  Endorsement out;
  out.checks.push_back({.name = "chain.leaf",
                        .ok = false,
                        .expected = "SEV-VCEK or SEV-VLEK",
                        .found = "no such certificate (give it with the report, or fetch it)",
                        .source = std::string(kSource)});
  return out;
}

}  // namespace coffer::snp
