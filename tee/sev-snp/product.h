// AMD processor families, as the attestation keys know them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace coffer::snp {

// Bergamo and Siena count as Genoa in AMD's key distribution service.
enum class Product : std::uint8_t { kMilan, kGenoa, kTurin };

// Where the parts of a TCB_VERSION stand (SEV-SNP ABI 56860 rev 1.58, section 2.2).
enum class TcbLayout : std::uint8_t { kMilan, kTurin };

// "Milan", "Genoa", "Turin".
[[nodiscard]] std::string_view product_name(Product product);
// Exact names as above; nothing for another.
[[nodiscard]] std::optional<Product> product_by_name(std::string_view name);
[[nodiscard]] TcbLayout tcb_layout(Product product);

// CPUID leaf 1 as reports carry it: combined family, combined model, stepping.
struct CpuId {
  std::uint8_t family = 0, model = 0, stepping = 0;
};
// Nothing for a processor that we have no root for.
[[nodiscard]] std::optional<Product> product_by_cpuid(const CpuId& id);

}  // namespace coffer::snp
