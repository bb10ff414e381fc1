// Intel's certificate chains and revocation lists, as named checks.
//
// Profile: Intel SGX PCK Certificate and CRL Profile Specification, rev. 1.5, sections 1.3 and 1.4.
// Checks that do not depend on the time can be made once and kept (static_checks); those that do
// are made for each verification.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tee/tdx/trust.h"
#include "tee/verdict.h"
#include "tee/x509.h"

namespace coffer::tdx {

using Checks = std::vector<tee::Check>;

inline constexpr std::string_view kPckProfile =
    "Intel SGX PCK Certificate and CRL Profile rev. 1.5, section 1.3";
inline constexpr std::string_view kRootName = "Intel SGX Root CA";
inline constexpr std::string_view kPlatformCaName = "Intel SGX PCK Platform CA";
inline constexpr std::string_view kProcessorCaName = "Intel SGX PCK Processor CA";
inline constexpr std::string_view kPckName = "Intel SGX PCK Certificate";
inline constexpr std::string_view kTcbSigningName = "Intel SGX TCB Signing";

// A chain's certificates in order, leaf first, and for each the common names that may stand there.
struct ChainSpec {
  std::string_view name;  // of the checks: "pck_chain"
  std::vector<std::vector<std::string_view>> common_names;
  bool begins_with_ca = false;  // the first certificate is an issuer too
};

[[nodiscard]] const ChainSpec& pck_chain_spec();          // leaf, PCK CA, root
[[nodiscard]] const ChainSpec& tcb_signing_chain_spec();  // TCB signer, root
[[nodiscard]] const ChainSpec& crl_issuer_chain_spec();   // PCK CA, root

using Chain = std::span<const tee::Certificate>;

// "<name>.length", ".root" (an anchor, octet for octet), ".names", ".ca" (only the issuers are CAs,
// with room in their path length, and no critical extension that we do not know), ".signatures"
// (ECDSA P-256 with SHA-256, each by the next). A certificate equal to `known_issuer`, which the
// caller has authenticated with the same anchors before, is not verified again.
[[nodiscard]] Checks chain_checks(const ChainSpec& spec, Chain chain, const TrustAnchors& anchors,
                                  const tee::Certificate* known_issuer = nullptr);
// "<name>.validity": every certificate, at that time.
[[nodiscard]] tee::Check validity_check(const ChainSpec& spec, Chain chain, tee::UnixTime time);

// "<name>.issuer" and "<name>.signature": the list is that issuer's.
[[nodiscard]] Checks crl_checks(std::string_view name, const tee::Crl& crl,
                                const tee::Certificate& issuer);
// "<name>.fresh".
[[nodiscard]] tee::Check crl_fresh_check(std::string_view name, const tee::Crl& crl,
                                         tee::UnixTime time);
// "<name>": the certificate's serial number is not on the list.
[[nodiscard]] tee::Check not_revoked_check(std::string_view name, const tee::Crl& crl,
                                           const tee::Certificate& certificate);

[[nodiscard]] bool all_ok(const Checks& checks);

}  // namespace coffer::tdx
