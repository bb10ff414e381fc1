#include "attestation/endorsements/kds.h"

#include <fmt/format.h>

#include <algorithm>

#include "tee/sev-snp/verify.h"
#include "tee/x509_bundle.h"

namespace coffer::endorsements {

using store::UnixTime;

namespace {

constexpr UnixTime kDay = 86400;
// A chip's certificate for one TCB never changes.
constexpr UnixTime kLeafFresh = 3650 * kDay;
constexpr UnixTime kChainFresh = 30 * kDay;
constexpr UnixTime kCrlFresh = kDay;
constexpr std::size_t kTurinChipBytes = 8;

std::optional<snp::Product> product_of(const snp::Report& report) {
  if (!report.has_cpuid()) return std::nullopt;
  return snp::product_by_cpuid(report.cpuid);
}

BytesView chip_of(const snp::Report& report, snp::Product product) {
  const BytesView whole(report.chip_id);
  return product == snp::Product::kTurin ? whole.first(kTurinChipBytes) : whole;
}

// Is it this chip's, at this TCB?
Status check_leaf(const tee::Certificate& leaf, const snp::Report& report, snp::Product product) {
  COFFER_TRY(const auto extensions, snp::read_leaf_extensions(leaf, snp::LeafKind::kVcek));
  const auto tcb = snp::decode_tcb(report.reported_tcb, snp::tcb_layout(product));
  if (extensions.tcb == tcb && std::ranges::equal(extensions.hwid, chip_of(report, product))) {
    return {};
  }
  return fail(Code::kFailedPrecondition, "it is another chip's, or for another TCB");
}

bool has_leaf(const snp::Report& report, snp::Product product,
              const std::vector<tee::Certificate>& certificates) {
  const auto* leaf = snp::select_leaf(report, certificates);
  return leaf != nullptr && check_leaf(*leaf, report, product).has_value();
}

// The first check that failed, in words.
Status check_trusted(const snp::Endorsement& endorsement) {
  if (endorsement.trusted()) return {};
  for (const auto& check : endorsement.checks) {
    if (check.ok) continue;
    return fail(Code::kFailedPrecondition,
                fmt::format("{}: want {}, got {}", check.name, check.expected, check.found));
  }
  return fail(Code::kFailedPrecondition, "it does not chain to a trusted root");
}

}  // namespace

struct Kds::Wanted {
  const snp::Report& report;
  snp::Product product;
  UnixTime time;
  [[nodiscard]] std::string prefix() const {
    return fmt::format("/vcek/v1/{}/", snp::product_name(product));
  }
};

Result<std::string> vcek_path(const snp::Report& report, snp::Product product) {
  const BytesView chip = chip_of(report, product);
  if (std::ranges::all_of(chip, [](std::uint8_t byte) { return byte == 0; })) {
    return fail(Code::kFailedPrecondition,
                "fetch VCEK: the report names no chip (the host masks it): the host has to hand "
                "over the certificate, or verifier.snp_certificates");
  }
  const auto tcb = snp::decode_tcb(report.reported_tcb, snp::tcb_layout(product));
  return fmt::format("/vcek/v1/{}/{}?{}blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}",
                     snp::product_name(product), to_hex(chip),
                     tcb.fmc ? fmt::format("fmcSPL={:02}&", *tcb.fmc) : "", tcb.boot_loader,
                     tcb.tee, tcb.snp, tcb.microcode);
}

// Authenticated as it stands; when the chain above it is what lacks, with the service's, which then
// is in `material` too.
Result<Bytes> Kds::vcek(const Wanted& wanted, snp::TrustMaterial& material) {
  COFFER_TRY(const std::string path, vcek_path(wanted.report, wanted.product));
  const auto check = [&](BytesView der) -> Result<tee::Certificate> {
    COFFER_TRY(auto leaf, tee::Certificate::from_der(der));
    COFFER_TRY_VOID(check_leaf(leaf, wanted.report, wanted.product));
    if (snp::authenticate(leaf, material, false, wanted.time).trusted()) return leaf;
    COFFER_TRY(const Bytes above, chain(wanted, leaf, material));
    COFFER_TRY(auto bundle, tee::parse_x509_bundle(above, "the KDS's certificate chain"));
    std::ranges::move(bundle.certificates, std::back_inserter(material.certificates));
    COFFER_TRY_VOID(check_trusted(snp::authenticate(leaf, material, false, wanted.time)));
    return leaf;
  };
  std::string key = "kds" + path;
  for (char& c : key) {
    if (c == '?' || c == '=' || c == '&') c = '_';
  }
  COFFER_TRY(
      auto der, fetcher_.get(base_, key, kLeafFresh, [&](const Get& get) -> Result<Document> {
        COFFER_TRY(const auto reply, get_document(get, base_ + path));
        auto leaf = check(as_bytes(reply.body));
        if (!leaf) {
          return fail(std::move(leaf).error().with_context(fmt::format("use '{}{}'", base_, path)));
        }
        return Document{.bytes = leaf->der(), .good_until = leaf->not_after()};
      }));
  // Of an earlier fetch: the chain is to be had again.
  COFFER_TRY([[maybe_unused]] const auto leaf, check(der));
  return der;
}

// It is what `leaf` chains through, or it is not kept: a wrong one would stand in everybody's way
// for as long as it counts as fresh.
Result<Bytes> Kds::chain(const Wanted& wanted, const tee::Certificate& leaf,
                         const snp::TrustMaterial& material) {
  const std::string path = wanted.prefix() + "cert_chain";
  return fetcher_.get(base_, "kds" + path, kChainFresh, [&](const Get& get) -> Result<Document> {
    COFFER_TRY(const auto reply, get_document(get, base_ + path));
    COFFER_TRY(auto bundle, tee::parse_x509_bundle(as_bytes(reply.body), base_ + path));
    if (bundle.certificates.empty()) {
      return fail(Code::kFailedPrecondition,
                  fmt::format("use '{}{}': no certificate", base_, path));
    }
    snp::TrustMaterial with = material;
    std::ranges::move(bundle.certificates, std::back_inserter(with.certificates));
    if (auto status = check_trusted(snp::authenticate(leaf, with, false, wanted.time)); !status) {
      return fail(std::move(status).error().with_context(fmt::format("use '{}{}'", base_, path)));
    }
    return Document{.bytes = to_bytes(reply.body), .good_until = wanted.time + 2 * kChainFresh};
  });
}

Result<Bytes> Kds::crl(const Wanted& wanted, const tee::Certificate& leaf,
                       const snp::TrustMaterial& material) {
  const std::string path = wanted.prefix() + "crl";
  return fetcher_.get(base_, "kds" + path, kCrlFresh, [&](const Get& get) -> Result<Document> {
    COFFER_TRY(const auto reply, get_document(get, base_ + path));
    COFFER_TRY(auto list, tee::Crl::from_der(as_bytes(reply.body)));
    Document out{.bytes = list.der(), .good_until = list.next_update().value_or(0)};
    snp::TrustMaterial with = material;
    with.crls = {std::move(list)};
    const auto endorsement = snp::authenticate(leaf, with, true, wanted.time);
    // A list that revokes this chip is a good list.
    for (const auto& check : endorsement.checks) {
      if (check.ok || check.name == "chain.crl_revocation") continue;
      return fail(Code::kFailedPrecondition,
                  fmt::format("use '{}{}': {}: want {}, got {}", base_, path, check.name,
                              check.expected, check.found));
    }
    return out;
  });
}

Result<snp::TrustMaterial> Kds::lacking(const snp::Report& report, const snp::TrustMaterial& known,
                                        bool require_crl, tee::UnixTime time) {
  snp::TrustMaterial out;
  const auto product = product_of(report);
  const bool by_vcek =
      report.key_info.signing_key() == static_cast<std::uint8_t>(snp::SigningKey::kVcek);
  if (!product || !by_vcek) return out;
  const Wanted wanted{.report = report, .product = *product, .time = time};
  snp::TrustMaterial material = known;
  if (!has_leaf(report, *product, known.certificates)) {
    COFFER_TRY(const Bytes der, vcek(wanted, material));
    COFFER_TRY(auto leaf, tee::Certificate::from_der(der));
    material.certificates.push_back(std::move(leaf));
  }
  out.certificates.assign(
      material.certificates.begin() + static_cast<std::ptrdiff_t>(known.certificates.size()),
      material.certificates.end());
  const auto* leaf = snp::select_leaf(report, material.certificates);
  if (!require_crl || leaf == nullptr) return out;
  if (snp::authenticate(*leaf, material, true, time).trusted()) return out;
  COFFER_TRY(const Bytes der, crl(wanted, *leaf, material));
  COFFER_TRY(auto list, tee::Crl::from_der(der));
  out.crls.push_back(std::move(list));
  return out;
}

}  // namespace coffer::endorsements
