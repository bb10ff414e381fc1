// Where a handshake's evidence comes from.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "attestation/evidence/runtime_log.h"
#include "attestation/protocol/tee_name.h"
#include "base/bytes.h"
#include "base/error.h"
#include "tee/attester.h"

namespace coffer::client {

class EvidenceSource {
 public:
  virtual ~EvidenceSource() = default;
  [[nodiscard]] virtual protocol::Tee tee() const = 0;
  // The primary evidence's JSON that binds `report_data` (a digest, not padded). Blocks.
  // kUnavailable: asking again may help.
  [[nodiscard]] virtual Result<nlohmann::json> evidence(BytesView report_data) = 0;
  // Extends a register with an event, which later evidence's log then has. `pcr`: nothing for the
  // TEE's default (TDX 17, which is RTMR3; TPM 15). kUnimplemented where the TEE has no registers.
  [[nodiscard]] virtual Status measure(const evidence::RuntimeEvent& event,
                                       std::optional<unsigned> pcr);
  // Has the log of later evidence account for a PCR that was extended with `digest` before. Only a
  // TPM's log needs it: where the hardware holds the digest itself this does nothing.
  virtual void note_extended(unsigned /*pcr*/, BytesView /*digest*/, std::string_view /*what*/) {}
};

// Of "snp", "tdx" and "tpm". kUnimplemented for an attester of another TEE.
[[nodiscard]] Result<std::unique_ptr<EvidenceSource>> make_source(
    std::unique_ptr<tee::Attester> attester);
// Proves nothing: for brokers that are told to accept it.
[[nodiscard]] std::unique_ptr<EvidenceSource> make_sample_source();

}  // namespace coffer::client
