// vCPU models as they show in a guest's launch measurement.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::snp {

// CPUID leaf 1 EAX of a processor: APM volume 3, section E.3.2.
[[nodiscard]] std::uint32_t vcpu_signature(unsigned family, unsigned model, unsigned stepping);
// Of a QEMU CPU model: "EPYC-v4", "EPYC-Milan", "EPYC-Genoa-v1"; kInvalidArgument names the known
// ones.
[[nodiscard]] Result<std::uint32_t> vcpu_signature_of(std::string_view type);
[[nodiscard]] std::vector<std::string> vcpu_types();

}  // namespace coffer::snp
