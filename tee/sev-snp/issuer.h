// The signers of a leaf: which certificate, or which of AMD's pinned keys, issued it.
#pragma once

#include <optional>
#include <string>

#include "tee/sev-snp/amd_keys.h"
#include "tee/sev-snp/certificates.h"
#include "tee/x509.h"

namespace coffer::snp {

struct IssuerName {
  Product product = Product::kMilan;
  KeyRole role = KeyRole::kArk;
};
// "ARK-Milan", "SEV-Milan", "SEV-VLEK-Milan"; nothing for another name.
[[nodiscard]] std::optional<IssuerName> issuer_of_name(std::string_view common_name);
// The attributes are exactly AMD's (or the emulator's organization instead of AMD's), in any order:
// C=US, ST=CA, L=Santa Clara, O=Advanced Micro Devices, OU=Engineering, and one CN.
[[nodiscard]] bool is_amd_name(const tee::Name& name);

struct Issuer {
  std::string common_name;
  Product product = Product::kMilan;
  KeyRole role = KeyRole::kArk;
  tee::PublicKey key;
  tee::Serial serial;
  tee::UnixTime not_before = 0, not_after = 0;
  tee::Digest256 fingerprint{};
  // Nothing for a key that is built in.
  std::optional<tee::Certificate> certificate;

  [[nodiscard]] std::string to_text() const;
};

// The issuer of `leaf` among the certificates, by name and, if several have it, by signature; else
// AMD's pinned intermediate of that name.
[[nodiscard]] std::optional<Issuer> find_intermediate(const tee::Certificate& leaf,
                                                      const TrustMaterial& material);
// The trusted root that the intermediate names, among the configured ones or, without any, among
// AMD's pinned ones.
[[nodiscard]] std::optional<Issuer> find_root(const std::optional<Issuer>& intermediate,
                                              const TrustMaterial& material);
// The root's signature on the intermediate. A pinned intermediate needs the pinned root.
[[nodiscard]] bool signed_by_root(const Issuer& intermediate, const Issuer& root);

}  // namespace coffer::snp
