// Certificates and revocation lists as people hand them over: PEM or DER, one or many, any order.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tee/x509.h"

namespace coffer::tee {

struct X509Bundle {
  std::vector<Certificate> certificates;  // in the order of the input
  std::vector<Crl> crls;
};

struct X509BundleLimits {
  std::size_t max_bytes = std::size_t{8} << 20U;
  std::size_t max_objects = 64;
  // False: only white space may stand between PEM blocks, as in a quote's certification data.
  bool text_between_blocks = true;
  // Parsed before: what is equal to one of them, octet for octet, is copied.
  std::span<const Certificate> known = {};
};

// PEM (CERTIFICATE and X509 CRL blocks, RFC 7468; trailing NUL octets are tolerated) or DER values
// one after another. kInvalidArgument when anything in it is malformed or of another kind;
// kResourceExhausted over a limit. Empty input gives an empty bundle. `what` names it in errors.
[[nodiscard]] Result<X509Bundle> parse_x509_bundle(BytesView bytes, std::string_view what,
                                                   const X509BundleLimits& limits = {});
[[nodiscard]] bool looks_like_pem(BytesView bytes);

}  // namespace coffer::tee
