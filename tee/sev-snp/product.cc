#include "tee/sev-snp/product.h"

namespace coffer::snp {
namespace {

constexpr std::uint8_t kFamilyZen3And4 = 0x19;
constexpr std::uint8_t kFamilyZen5 = 0x1A;

}  // namespace

std::string_view product_name(Product product) {
  switch (product) {
    case Product::kMilan:
      return "Milan";
    case Product::kGenoa:
      return "Genoa";
    case Product::kTurin:
      return "Turin";
  }
  return "";
}

std::optional<Product> product_by_name(std::string_view name) {
  for (const auto product : {Product::kMilan, Product::kGenoa, Product::kTurin}) {
    if (product_name(product) == name) return product;
  }
  return std::nullopt;
}

TcbLayout tcb_layout(Product product) {
  return product == Product::kTurin ? TcbLayout::kTurin : TcbLayout::kMilan;
}

std::optional<Product> product_by_cpuid(const CpuId& id) {
  if (id.family == kFamilyZen3And4) {
    if (id.model <= 0x0F) return Product::kMilan;
    if (id.model <= 0x1F || (id.model >= 0xA0 && id.model <= 0xAF)) return Product::kGenoa;
  }
  if (id.family == kFamilyZen5 && id.model <= 0x11) return Product::kTurin;
  return std::nullopt;
}

}  // namespace coffer::snp
