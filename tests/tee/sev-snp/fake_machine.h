// A fake AMD machine, made once per test program: what it signs verifies, until a test breaks it.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tee/emulator/snp_pki.h"
#include "tee/sev-snp/verify.h"

namespace coffer::snp {

inline constexpr tee::UnixTime kNow = 1768435200;  // 2026-01-15T00:00:00Z
inline constexpr tee::UnixTime kDay = 86400;

inline const emulator::FakeAmd& amd() {
  static const emulator::FakeAmd machine = *emulator::FakeAmd::make(
      {.not_before = kNow - kDay, .not_after = kNow + kDay, .platform = {}});
  return machine;
}

inline tee::Certificate certificate(BytesView der) { return *tee::Certificate::from_der(der); }

// The chain of the machine, under its own root.
inline TrustMaterial material(LeafKind kind = LeafKind::kVcek) {
  const bool vcek = kind == LeafKind::kVcek;
  return {.certificates = {certificate(vcek ? amd().vcek() : amd().vlek()),
                           certificate(vcek ? amd().ask() : amd().asvk())},
          .crls = {},
          .trusted_roots = {certificate(amd().ark())}};
}

inline tee::Verdict judge(BytesView report, const TrustMaterial& trust,
                          const Expectations& expectations = {}, tee::UnixTime time = kNow) {
  return verify({.report = report, .material = trust, .expectations = expectations, .time = time});
}

inline tee::Verdict judge(const Report& report, const Expectations& expectations = {}) {
  return judge(*amd().sign(report), material(), expectations);
}

inline std::set<std::string> failures(const tee::Verdict& verdict) {
  std::set<std::string> out;
  for (const auto& check : verdict.failed()) out.insert(check.name);
  return out;
}

using Names = std::set<std::string>;

// A leaf of the machine with its specification changed, under the intermediate that `issuer` is.
template <typename Change>
TrustMaterial with_leaf(LeafKind kind, Change change) {
  emulator::SnpCertificateSpec spec = amd().leaf_spec(kind);
  emulator::SnpCertificateSpec issuer =
      kind == LeafKind::kVcek ? amd().ask_spec() : amd().asvk_spec();
  change(spec, issuer);
  TrustMaterial out = material(kind);
  out.certificates[0] = certificate(*emulator::make_snp_certificate(
      spec, amd().leaf_key().public_key(), issuer, amd().intermediate_key()));
  return out;
}

inline tee::Extension& extension(emulator::SnpCertificateSpec& spec, std::string_view suffix) {
  for (auto& item : spec.extensions) {
    if (item.oid == "1.3.6.1.4.1.3704.1." + std::string(suffix)) return item;
  }
  ADD_FAILURE() << "no extension " << suffix;
  return spec.extensions.front();
}

}  // namespace coffer::snp
