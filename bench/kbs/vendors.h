// Throwaway vendors whose guests a broker believes once it is configured for them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "attestation/protocol/tee_name.h"
#include "base/bytes.h"
#include "base/error.h"
#include "tee/emulator/snp_pki.h"
#include "tee/emulator/tdx_pki.h"

namespace coffer::bench {

class Vendors {
 public:
  // Makes keys: some seconds. Writes what the broker reads to `folder`, which is there.
  [[nodiscard]] static Result<Vendors> make(const std::string& folder);

  // Sections for the broker's configuration.
  [[nodiscard]] const std::string& config() const { return config_; }
  // With which guests of both TEEs are affirming.
  [[nodiscard]] nlohmann::json reference_values() const;
  // Evidence of a guest, as it stands in an Attestation; `tee` is kSnp or kTdx.
  [[nodiscard]] Result<nlohmann::json> evidence(protocol::Tee tee, BytesView report_data) const;

  [[nodiscard]] const emulator::FakeAmd& amd() const { return amd_; }
  [[nodiscard]] const emulator::FakeIntel& intel() const { return intel_; }

 private:
  Vendors(emulator::FakeAmd amd, emulator::FakeIntel intel)
      : amd_(std::move(amd)), intel_(std::move(intel)) {}
  [[nodiscard]] Status write(const std::string& folder);

  emulator::FakeAmd amd_;
  emulator::FakeIntel intel_;
  std::string config_;
};

}  // namespace coffer::bench
