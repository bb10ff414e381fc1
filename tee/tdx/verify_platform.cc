#include <fmt/format.h>

#include <algorithm>

#include "tee/tdx/verify_parts.h"

namespace coffer::tdx {
namespace {

constexpr std::size_t kCoordinate = 32;
constexpr std::string_view kQuoteSignature =
    "Intel TDX DCAP Quote Library rev. 0.9, A.3.8: ECDSA 256-bit quote signature data";
constexpr std::string_view kCrlRule = "Intel PCS API v4: PCK CRL and root CA CRL";

std::string verifies(bool ok) { return ok ? "verifies" : "does not verify"; }

bool verify_raw(const tee::PublicKey& key, BytesView message, BytesView signature) {
  return key.curve() == tee::Curve::kP256 &&
         key.verify_ecdsa(tee::HashAlgorithm::kSha256, message, signature.first(kCoordinate),
                          signature.last(kCoordinate));
}

// SHA-256(attestation key || authentication data) || 32 zero bytes.
std::array<std::uint8_t, 64> qe_report_data(const Quote& quote) {
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  hasher.update(quote.attestation_key).update(quote.qe_auth_data);
  std::array<std::uint8_t, 64> data{};
  hasher.finish(data);
  return data;
}

// An absent list is a failure unless waived.
bool have_crl(const tee::Crl* crl, std::string_view name, const Expectations& want,
              tee::Verdict& verdict) {
  if (crl != nullptr) return true;
  const std::string check = fmt::format("{}.present", name);
  if (want.require_crl) {
    verdict.add(check, false, "a revocation list", "none", kCrlRule);
  } else {
    verdict.add_waived(check, "none", "require_crl=false");
  }
  return false;
}

}  // namespace

void check_pck(const PckChain& read, const CollateralSet& collateral, const Expectations& want,
               tee::UnixTime time, tee::Verdict& verdict) {
  const Chain chain(read.certificates);
  const auto& pck = read.pck;
  verdict.add_all(
      chain_checks(pck_chain_spec(), chain, collateral.anchors(), collateral.known_pck_ca()));
  verdict.add(validity_check(pck_chain_spec(), chain, time));
  verdict.add("pck.sgx_extension", pck.has_value(), "well-formed",
              pck ? "well-formed" : pck.error().to_string(), kPckProfile);
  if (pck && want.trusted_ppids) {
    verdict.add("expect.ppid",
                std::ranges::find(*want.trusted_ppids, pck->ppid) != want.trusted_ppids->end(),
                "one of trusted_ppids", to_hex(pck->ppid), kExpectation);
  }
}

void check_crls(const CollateralSet& collateral, const Expectations& want, Chain chain,
                tee::Verdict& verdict) {
  const bool have_root = have_crl(collateral.root_crl(), "root_crl", want, verdict);
  const bool have_pck = have_crl(collateral.pck_crl(), "pck_crl", want, verdict);
  if (chain.size() != pck_chain_spec().common_names.size()) return;
  const tee::Certificate& ca = chain[1];
  if (have_root) {
    verdict.add(not_revoked_check("pck_chain.ca_not_revoked", *collateral.root_crl(), ca));
  }
  if (!have_pck) return;
  const tee::Crl& crl = *collateral.pck_crl();
  const tee::Certificate* known = collateral.known_pck_ca();
  if (known != nullptr && known->der() == ca.der()) {
    verdict.add("pck_crl.signature", true, "by the quote's PCK CA", "verifies", kCrlRule);
  } else {
    verdict.add_all(crl_checks("pck_crl", crl, ca));
  }
  verdict.add(not_revoked_check("pck.not_revoked", crl, chain.front()));
}

void check_signatures(const Quote& quote, Chain chain, tee::Verdict& verdict) {
  const bool by_pck =
      verify_raw(chain.front().public_key(), quote.qe_report, quote.qe_report_signature);
  verdict.add("qe.report_signature", by_pck, "by the PCK certificate's key", verifies(by_pck),
              kQuoteSignature);
  verdict.add_equal("qe.report_data", to_hex(qe_report_data(quote)), to_hex(quote.qe.report_data),
                    kQuoteSignature);
  const auto key =
      tee::PublicKey::from_ec_point(tee::Curve::kP256, quote.attestation_key.first(kCoordinate),
                                    quote.attestation_key.last(kCoordinate));
  verdict.add("quote.attestation_key", key.has_value(), "a point of P-256",
              key ? "a point of P-256" : key.error().to_string(), kQuoteSignature);
  const bool ok = key && verify_raw(*key, quote.signed_bytes, quote.signature);
  verdict.add("quote.signature", ok, "by the attestation key over header and body", verifies(ok),
              kQuoteSignature);
}

}  // namespace coffer::tdx
