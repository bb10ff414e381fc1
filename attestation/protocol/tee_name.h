// The TEEs by the names that the protocol, tokens and policies call them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace coffer::protocol {

enum class Tee : std::uint8_t {
  kAzSnpVtpm,
  kAzTdxVtpm,
  kNvidia,
  kSgx,
  kSnp,
  kTdx,
  kCca,
  kCsv,
  kSe,
  kHygonDcu,
  kTpm,
  kSample,
  kSampleDevice,
};

// "snp", "az-tdx-vtpm", ...
[[nodiscard]] std::string_view tee_name(Tee tee);
// kInvalidArgument with the name when there is none such.
[[nodiscard]] Result<Tee> parse_tee(std::string_view name);

// The part of a pod's evidence that it is: "cpu", "gpu" or "dcu". What a submodule of a token is
// called by ("cpu0"), and an attestation policy ("default_cpu").
[[nodiscard]] std::string_view tee_class(Tee tee);

}  // namespace coffer::protocol
