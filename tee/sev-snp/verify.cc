#include "tee/sev-snp/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "tee/sev-snp/accept.h"
#include "tee/sev-snp/claims.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kAbiReport = "SEV-SNP ABI 56860 table 23";
constexpr std::string_view kAbiTcb = "SEV-SNP ABI 56860 section 2.2";
constexpr std::string_view kKds = "AMD 57230 section 3";
constexpr std::size_t kTurinChipIdSize = 8;

bool is_zero(BytesView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// One check per field that structure_faults() may name, so that each stands in every verdict.
void check_structure(const Report& report, BytesView bytes, tee::Verdict& verdict) {
  constexpr std::array<std::string_view, 8> kFields{"version",  "signature_algo", "vmpl",
                                                    "policy",   "key_info",       "cpuid_step",
                                                    "reserved", "signature"};
  const auto faults = structure_faults(report, bytes);
  for (const std::string_view field : kFields) {
    const std::string name =
        field == "signature" ? "report.signature_format" : fmt::format("report.{}", field);
    const auto before = verdict.checks().size();
    for (const auto& fault : faults) {
      if (fault.field == field) verdict.add(name, false, fault.want, fault.got, kAbiReport);
    }
    if (verdict.checks().size() == before) {
      verdict.add(name, true, "well formed", "well formed", kAbiReport);
    }
  }
}

std::string key_name(std::uint8_t key) {
  if (key == static_cast<std::uint8_t>(SigningKey::kVcek)) return "VCEK";
  if (key == static_cast<std::uint8_t>(SigningKey::kVlek)) return "VLEK";
  return key == static_cast<std::uint8_t>(SigningKey::kNone) ? "none"
                                                             : fmt::format("reserved {}", key);
}

void check_signing_key(const Report& report, const Endorsement& endorsement,
                       tee::Verdict& verdict) {
  verdict.add("report.mask_chip_key", !report.key_info.mask_chip_key(), "signed by the chip",
              report.key_info.mask_chip_key() ? "MASK_CHIP_KEY: not signed" : "signed", kAbiReport);
  const std::string wanted = endorsement.kind == LeafKind::kVlek ? "VLEK" : "VCEK";
  verdict.add_equal("report.signing_key", wanted, key_name(report.key_info.signing_key()), kKds);
  // A digest that no key backs would read as an author's word.
  const bool author_ok = report.key_info.author_key_en() || is_zero(report.author_key_digest);
  verdict.add("report.author_key", author_ok, "AUTHOR_KEY_DIGEST only with AUTHOR_KEY_EN",
              author_ok ? "consistent" : "digest without AUTHOR_KEY_EN", kAbiReport);
}

// R and S are little-endian integers of the whole 72-octet field. Never cut to 48: OpenSSL refuses
// what is not in 1..n-1.
void check_signature(const Report& report, BytesView bytes, const Endorsement& endorsement,
                     tee::Verdict& verdict) {
  if (!endorsement.leaf) {
    verdict.add("report.signature", false, "valid under the leaf", "no leaf to check it with",
                kAbiReport);
    return;
  }
  auto r = report.signature_r;
  auto s = report.signature_s;
  std::reverse(r.begin(), r.end());
  std::reverse(s.begin(), s.end());
  const bool valid = !is_zero(r) && !is_zero(s) &&
                     endorsement.leaf->public_key().curve() == tee::Curve::kP384 &&
                     endorsement.leaf->public_key().verify_ecdsa(tee::HashAlgorithm::kSha384,
                                                                 bytes.first(kSignedSize), r, s);
  verdict.add("report.signature", valid, "valid under the leaf", valid ? "valid" : "invalid",
              kAbiReport);
}

std::string product_text(std::optional<Product> product) {
  return product ? std::string(product_name(*product)) : "unknown";
}

void check_product(const Report& report, const Endorsement& endorsement,
                   std::optional<Product> requested, tee::Verdict& verdict) {
  const std::string chain = product_text(endorsement.product);
  verdict.add("product.chain", endorsement.product.has_value(), "Milan, Genoa or Turin", chain,
              kKds);
  if (report.has_cpuid()) {
    const auto product = product_by_cpuid(report.cpuid);
    verdict.add("product.cpuid", product && product == endorsement.product, chain,
                fmt::format("{} (family {:#x} model {:#x})", product_text(product),
                            report.cpuid.family, report.cpuid.model),
                kAbiReport);
  }
  if (requested) {
    verdict.add_equal("product.requested", product_text(requested), chain, "expectation product");
  }
}

// The leaf was derived from REPORTED_TCB and the chip's secret: both must be the report's.
void check_leaf_binding(const Report& report, const Endorsement& endorsement, TcbLayout layout,
                        bool allow_masked, tee::Verdict& verdict) {
  if (!endorsement.extensions) return;
  const LeafExtensions& leaf = *endorsement.extensions;
  const Tcb reported = decode_tcb(report.reported_tcb, layout);
  verdict.add("tcb.certificate", reported == leaf.tcb, leaf.tcb.to_text(), reported.to_text(),
              kKds);
  if (endorsement.kind == LeafKind::kVlek) return;
  const BytesView chip_id(report.chip_id);
  if (is_zero(chip_id)) {
    verdict.add("chip_id.certificate", allow_masked, to_hex(leaf.hwid), "masked (all zero)",
                allow_masked ? "allow_masked_chip_id" : kKds);
    return;
  }
  const std::size_t size = layout == TcbLayout::kTurin ? kTurinChipIdSize : chip_id.size();
  const bool equal = equal_constant_time(chip_id.first(size), leaf.hwid);
  verdict.add("chip_id.certificate", equal && is_zero(chip_id.subspan(size)), to_hex(leaf.hwid),
              to_hex(chip_id), kKds);
}

void check_tcb_order(const Report& report, TcbLayout layout, tee::Verdict& verdict) {
  const bool reserved = tcb_reserved_is_zero(report.current_tcb, layout) &&
                        tcb_reserved_is_zero(report.reported_tcb, layout) &&
                        tcb_reserved_is_zero(report.committed_tcb, layout) &&
                        tcb_reserved_is_zero(report.launch_tcb, layout);
  verdict.add("tcb.layout", reserved, "the product's layout",
              reserved ? "the product's layout" : "reserved octets set", kAbiTcb);
  const Tcb current = decode_tcb(report.current_tcb, layout);
  const Tcb committed = decode_tcb(report.committed_tcb, layout);
  const Tcb reported = decode_tcb(report.reported_tcb, layout);
  const Tcb launch = decode_tcb(report.launch_tcb, layout);
  const auto at_most = [&](std::string_view name, const Tcb& low, const Tcb& high) {
    verdict.add(name, high.at_least(low), "at most " + high.to_text(), low.to_text(), kAbiTcb);
  };
  at_most("tcb.committed_at_most_current", committed, current);
  at_most("tcb.reported_at_most_committed", reported, committed);
  at_most("tcb.launch_at_most_current", launch, current);
}

// A guest cannot have been launched by firmware older than its policy demands.
void check_abi(const Report& report, tee::Verdict& verdict) {
  const auto major = report.policy.abi_major();
  const auto minor = report.policy.abi_minor();
  const auto& version = report.current_version;
  const bool ok = major < version.major || (major == version.major && minor <= version.minor);
  verdict.add("policy.abi", ok, fmt::format("at most {}.{}", version.major, version.minor),
              fmt::format("{}.{}", major, minor), "SEV-SNP ABI 56860 table 9");
}

void check_window(const Endorsement& endorsement, tee::UnixTime time, tee::Verdict& verdict) {
  if (!endorsement.leaf) return;
  const bool ok = endorsement.valid_from <= time && time <= endorsement.valid_until;
  verdict.add("chain.time", ok,
              fmt::format("{}..{}", tee::format_rfc3339(endorsement.valid_from),
                          tee::format_rfc3339(endorsement.valid_until)),
              tee::format_rfc3339(time), "RFC 5280 section 4.1.2.5");
}

// 0: another kind than asked for; then a point each for the right chip and the right TCB.
int leaf_score(const Report& report, const tee::Certificate& certificate) {
  const auto kind = leaf_kind(certificate);
  const bool wants_vlek =
      report.key_info.signing_key() == static_cast<std::uint8_t>(SigningKey::kVlek);
  if (!kind || (*kind == LeafKind::kVlek) != wants_vlek) return 0;
  const auto extensions = read_leaf_extensions(certificate, *kind);
  if (!extensions) return 1;
  const BytesView chip(report.chip_id);
  const bool same_chip = std::ranges::equal(
      chip.first(std::min(chip.size(), extensions->hwid.size())), extensions->hwid);
  const TcbLayout layout = extensions->tcb.fmc ? TcbLayout::kTurin : TcbLayout::kMilan;
  const bool same_tcb = decode_tcb(report.reported_tcb, layout) == extensions->tcb;
  return 2 + (same_chip ? 2 : 0) + (same_tcb ? 1 : 0);
}

}  // namespace

const tee::Certificate* select_leaf(const Report& report,
                                    const std::vector<tee::Certificate>& certificates) {
  const tee::Certificate* best = nullptr;
  int best_score = -1;
  for (const auto& certificate : certificates) {
    if (!leaf_kind(certificate)) continue;
    if (const int score = leaf_score(report, certificate); score > best_score) {
      best = &certificate;
      best_score = score;
    }
  }
  return best;
}

tee::Verdict verify_endorsed(BytesView bytes, const Endorsement& endorsement,
                             const Expectations& expectations, tee::UnixTime time,
                             std::optional<Product> product) {
  tee::Verdict verdict("snp");
  verdict.set_emulated(endorsement.emulated);
  verdict.add_equal("report.length", fmt::to_string(kReportSize), fmt::to_string(bytes.size()),
                    kAbiReport);
  verdict.add_all(endorsement.checks);
  check_window(endorsement, time, verdict);
  const auto report = decode_report(bytes);
  if (!report) return verdict;

  const TcbLayout layout =
      endorsement.product ? tcb_layout(*endorsement.product) : report->likely_layout();
  verdict.claims() = report_claims(*report, layout);
  add_endorsement_claims(endorsement, verdict.claims());
  check_structure(*report, bytes, verdict);
  check_product(*report, endorsement, product, verdict);
  check_signing_key(*report, endorsement, verdict);
  check_signature(*report, bytes, endorsement, verdict);
  check_leaf_binding(*report, endorsement, layout, expectations.allow_masked_chip_id, verdict);
  check_tcb_order(*report, layout, verdict);
  check_abi(*report, verdict);
  check_expectations(*report, endorsement, expectations, verdict);
  return verdict;
}

Endorsement endorse(BytesView bytes, const TrustMaterial& material, bool require_crl,
                    tee::UnixTime time) {
  const auto report = decode_report(bytes);
  const tee::Certificate* leaf = select_leaf(report.value_or(Report{}), material.certificates);
  if (leaf == nullptr) return no_endorsement();
  return authenticate(*leaf, material, require_crl, time);
}

tee::Verdict verify(const VerifyRequest& request) {
  const Endorsement endorsement =
      endorse(request.report, request.material, request.expectations.require_crl, request.time);
  return verify_endorsed(request.report, endorsement, request.expectations, request.time,
                         request.product);
}

}  // namespace coffer::snp
