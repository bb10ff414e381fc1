// Makes X.509 certificates and revocation lists for the emulator's throwaway PKI and for tests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/emulator/ec_key.h"
#include "tee/utc_time.h"

namespace coffer::emulator {

struct CertificateSpec {
  std::string common_name;
  std::string organization;
  std::uint64_t serial = 1;
  tee::UnixTime not_before = 0, not_after = 0;
  bool ca = false;
  std::optional<int> path_length;
  // An extension besides basicConstraints and keyUsage: dotted OID, DER content.
  std::optional<std::pair<std::string, Bytes>> extension;
};

// Names are CN, O=<organization>, L=Santa Clara, ST=CA, C=US. Both functions sign with ECDSA P-256
// and SHA-256 and give DER. `issuer` absent: self-signed.
[[nodiscard]] Result<Bytes> make_certificate(const CertificateSpec& spec, const EcKey& key,
                                             const CertificateSpec* issuer,
                                             const EcKey& issuer_key);

struct CrlSpec {
  tee::UnixTime this_update = 0, next_update = 0;
  std::vector<std::uint64_t> revoked;
};
[[nodiscard]] Result<Bytes> make_crl(const CrlSpec& spec, const CertificateSpec& issuer,
                                     const EcKey& issuer_key);

// PEM of a DER certificate.
[[nodiscard]] std::string certificate_pem(BytesView der);

}  // namespace coffer::emulator
