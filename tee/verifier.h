// The relying party's side, the same for every TEE: evidence and a report data in, a verdict out.
// Trust material, expectations and time are the implementation's own, given when it is made: a
// verifier does no I/O and reads no clock.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "tee/attester.h"
#include "tee/utc_time.h"
#include "tee/verdict.h"

namespace coffer::tee {

class Verifier {
 public:
  virtual ~Verifier() = default;
  // "snp", "tdx", "tpm".
  [[nodiscard]] virtual std::string_view tee() const = 0;
  // `report_data`: what must be bound, padded with zeros to the field's size; empty compares
  // nothing, and the verdict says so. Thread-safe.
  [[nodiscard]] virtual Verdict verify(const Evidence& evidence, BytesView report_data,
                                       UnixTime time) const = 0;
};

}  // namespace coffer::tee
