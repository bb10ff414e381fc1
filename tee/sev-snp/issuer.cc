#include "tee/sev-snp/issuer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tee/emulated_root.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kOrganization = "2.5.4.10";
constexpr std::string_view kAmd = "Advanced Micro Devices";
constexpr std::uint64_t kExponent = 65537;

std::string_view prefix_of(KeyRole role) {
  switch (role) {
    case KeyRole::kArk:
      return "ARK-";
    case KeyRole::kAsk:
      return "SEV-";
    case KeyRole::kAsvk:
      return "SEV-VLEK-";
  }
  return "";
}

tee::Serial serial_octets(std::uint64_t serial) {
  tee::Serial out;
  for (; serial != 0; serial >>= 8U) out.insert(out.begin(), static_cast<std::uint8_t>(serial));
  if (out.empty()) out.push_back(0);
  return out;
}

const AmdKey* pinned(IssuerName name) {
  for (const AmdKey& key : amd_keys()) {
    if (key.product == name.product && key.role == name.role) return &key;
  }
  return nullptr;
}

std::optional<Issuer> from_pinned(IssuerName name) {
  const AmdKey* known = pinned(name);
  if (known == nullptr) return std::nullopt;
  const auto modulus = from_hex(known->modulus);
  const auto fingerprint = from_hex(known->fingerprint);
  if (!modulus || !fingerprint) return std::nullopt;
  auto key = tee::PublicKey::from_rsa(*modulus, kExponent);
  if (!key) return std::nullopt;
  Issuer out{.common_name = fmt::format("{}{}", prefix_of(name.role), product_name(name.product)),
             .product = name.product,
             .role = name.role,
             .key = *std::move(key),
             .serial = serial_octets(known->serial),
             .not_before = known->not_before,
             .not_after = known->not_after,
             .certificate = std::nullopt};
  std::copy(fingerprint->begin(), fingerprint->end(), out.fingerprint.begin());
  return out;
}

std::optional<Issuer> from_certificate(const tee::Certificate& certificate) {
  const auto name = issuer_of_name(certificate.subject().common_name());
  if (!name) return std::nullopt;
  return Issuer{.common_name = std::string(certificate.subject().common_name()),
                .product = name->product,
                .role = name->role,
                .key = certificate.public_key(),
                .serial = certificate.serial(),
                .not_before = certificate.not_before(),
                .not_after = certificate.not_after(),
                .fingerprint = certificate.fingerprint(),
                .certificate = certificate};
}

// Among those with the right name, the one whose key verifies; else the first, whose failure is
// then reported.
const tee::Certificate* best(const std::vector<const tee::Certificate*>& candidates,
                             const tee::Certificate& issued) {
  for (const auto* candidate : candidates) {
    if (issued.signature_by(candidate->public_key())) return candidate;
  }
  return candidates.empty() ? nullptr : candidates.front();
}

}  // namespace

std::optional<IssuerName> issuer_of_name(std::string_view common_name) {
  // The longer prefix first: "SEV-VLEK-Milan" begins with "SEV-" too.
  for (const auto role : {KeyRole::kAsvk, KeyRole::kAsk, KeyRole::kArk}) {
    if (!common_name.starts_with(prefix_of(role))) continue;
    if (const auto product = product_by_name(common_name.substr(prefix_of(role).size()))) {
      return IssuerName{.product = *product, .role = role};
    }
  }
  return std::nullopt;
}

bool is_amd_name(const tee::Name& name) {
  const std::string_view organization = name.get(kOrganization);
  if (organization != kAmd && organization != tee::kEmulatorOrganization) return false;
  std::vector<tee::NameAttribute> want{{"2.5.4.11", "Engineering"},
                                       {"2.5.4.6", "US"},
                                       {"2.5.4.7", "Santa Clara"},
                                       {"2.5.4.8", "CA"},
                                       {std::string(kOrganization), std::string(organization)},
                                       {"2.5.4.3", std::string(name.common_name())}};
  auto got = name.attributes;
  std::sort(want.begin(), want.end());
  std::sort(got.begin(), got.end());
  return !name.common_name().empty() && want == got;
}

std::string Issuer::to_text() const {
  return fmt::format("{} {} ({})", common_name, to_hex(fingerprint).substr(0, 16),
                     certificate ? "certificate" : "built in");
}

std::optional<Issuer> find_intermediate(const tee::Certificate& leaf,
                                        const TrustMaterial& material) {
  std::vector<const tee::Certificate*> candidates;
  for (const auto& certificate : material.certificates) {
    if (leaf.names_issuer(certificate) && !certificate.is_self_issued()) {
      candidates.push_back(&certificate);
    }
  }
  if (const auto* found = best(candidates, leaf)) return from_certificate(*found);
  const auto name = issuer_of_name(leaf.issuer().common_name());
  if (!name || name->role == KeyRole::kArk || leaf.issuer().get(kOrganization) != kAmd) {
    return std::nullopt;
  }
  return from_pinned(*name);
}

std::optional<Issuer> find_root(const std::optional<Issuer>& intermediate,
                                const TrustMaterial& material) {
  if (!intermediate) return std::nullopt;
  const IssuerName wanted{.product = intermediate->product, .role = KeyRole::kArk};
  if (material.trusted_roots.empty()) {
    // A certificate that names another issuer than its product's root has no pinned root.
    const bool named =
        !intermediate->certificate || intermediate->certificate->issuer().common_name() ==
                                          fmt::format("ARK-{}", product_name(wanted.product));
    return named ? from_pinned(wanted) : std::nullopt;
  }
  std::vector<const tee::Certificate*> candidates;
  for (const auto& root : material.trusted_roots) {
    const bool named =
        intermediate->certificate
            ? intermediate->certificate->names_issuer(root)
            : root.subject().common_name() == fmt::format("ARK-{}", product_name(wanted.product));
    if (named) candidates.push_back(&root);
  }
  if (candidates.empty()) return std::nullopt;
  if (!intermediate->certificate) return from_certificate(*candidates.front());
  return from_certificate(*best(candidates, *intermediate->certificate));
}

bool signed_by_root(const Issuer& intermediate, const Issuer& root) {
  if (intermediate.certificate) return intermediate.certificate->signature_by(root.key);
  const AmdKey* known = pinned({.product = intermediate.product, .role = KeyRole::kArk});
  return known != nullptr && to_hex(root.fingerprint) == known->fingerprint;
}

}  // namespace coffer::snp
