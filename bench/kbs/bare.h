// The cryptography that a broker cannot leave out, without anything around it.
#pragma once

#include "base/error.h"
#include "bench/kbs/vendors.h"

namespace coffer::bench {

// Microseconds of CPU, the best of many.
struct BareCosts {
  double tls = 0;            // a server's part of TLS 1.3: X25519 key and agreement, ECDSA P-256
  double snp = 0;            // the report's ECDSA P-384; its chain is one that was checked before
  double tdx = 0;            // ECDSA P-256 three times: PCK certificate, QE report, quote
  double sign_token = 0;     // ECDSA P-256
  double verify_token = 0;   // ECDSA P-256
  double encrypt_reply = 0;  // ECDH-ES on P-256: a key, an agreement; AES is not counted
};

[[nodiscard]] Result<BareCosts> measure_bare(const Vendors& vendors);

}  // namespace coffer::bench
