#include "tee/sev-snp/vcpu.h"

#include <fmt/format.h>

#include <array>

namespace coffer::snp {
namespace {

struct Model {
  std::string_view name;
  unsigned versions;  // "-v1".."-vN" beside the bare name
  unsigned family, model, stepping;
};

// QEMU target/i386/cpu.c, AMD server models.
constexpr std::array<Model, 6> kModels{{{"EPYC", 5, 23, 1, 2},
                                        {"EPYC-IBPB", 0, 23, 1, 2},
                                        {"EPYC-Rome", 5, 23, 49, 0},
                                        {"EPYC-Milan", 3, 25, 1, 1},
                                        {"EPYC-Genoa", 2, 25, 17, 0},
                                        {"EPYC-Turin", 1, 26, 0, 0}}};

}  // namespace

std::uint32_t vcpu_signature(unsigned family, unsigned model, unsigned stepping) {
  constexpr unsigned kBaseFamilyMax = 0xF;
  const unsigned extended = family > kBaseFamilyMax ? family - kBaseFamilyMax : 0;
  const unsigned low = family > kBaseFamilyMax ? kBaseFamilyMax : family;
  return (extended << 20U) | ((model >> 4U) << 16U) | (low << 8U) | ((model & 0xFU) << 4U) |
         (stepping & 0xFU);
}

Result<std::uint32_t> vcpu_signature_of(std::string_view type) {
  for (const auto& model : kModels) {
    if (!type.starts_with(model.name)) continue;
    const std::string_view rest = type.substr(model.name.size());
    const bool version = rest.size() == 3 && rest.starts_with("-v") && rest[2] >= '1' &&
                         static_cast<unsigned>(rest[2] - '0') <= model.versions;
    if (rest.empty() || version) return vcpu_signature(model.family, model.model, model.stepping);
  }
  return fail(Code::kInvalidArgument, fmt::format("vCPU type '{}': unknown (known: {})", type,
                                                  fmt::join(vcpu_types(), ", ")));
}

std::vector<std::string> vcpu_types() {
  std::vector<std::string> out;
  for (const auto& model : kModels) {
    out.emplace_back(model.name);
    for (unsigned v = 1; v <= model.versions; ++v)
      out.push_back(fmt::format("{}-v{}", model.name, v));
  }
  return out;
}

}  // namespace coffer::snp
