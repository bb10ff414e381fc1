// The guest's side: evidence for a report data, and runtime measurements.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tee {

struct Evidence {
  std::string tee;  // "snp", "tdx", "tpm"
  Bytes report;     // SNP report, TD quote, TPMS_ATTEST
  // What came beside it, unauthenticated: SNP's certificate table, a TPM quote's signature, ...
  Bytes auxiliary;
  // A service manifest (SVSM), or the event log, when asked for and there.
  Bytes manifest;
};

// Blocks: the kernel asks firmware or a quoting service, which takes milliseconds to seconds. Run
// it on a pool thread or in a child. One call at a time.
class Attester {
 public:
  virtual ~Attester() = default;

  // "snp", "tdx", "tpm".
  [[nodiscard]] virtual std::string_view tee() const = 0;

  // `report_data`: 1 to 64 bytes, padded with zeros on the right. kUnavailable when the platform is
  // busy and asking again may help; kFailedPrecondition when there is no such device.
  [[nodiscard]] virtual Result<Evidence> evidence(BytesView report_data) = 0;

  // Extends runtime measurement register `index` (a PCR number, mapped by the TEE to its own) with
  // a digest of the register's size. kUnimplemented where the TEE has none (SNP).
  [[nodiscard]] virtual Status extend(unsigned index, BytesView digest) = 0;

  // The launch-time value that the host bound for the tenant (HOST_DATA, MRCONFIGID): what initdata
  // is checked against. kUnimplemented where there is none.
  [[nodiscard]] virtual Result<Bytes> host_bound_data() = 0;
};

}  // namespace coffer::tee
