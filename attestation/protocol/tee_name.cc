#include "attestation/protocol/tee_name.h"

#include <fmt/format.h>

#include <array>

namespace coffer::protocol {
namespace {

struct Entry {
  Tee tee;
  std::string_view name;
};

constexpr std::array<Entry, 13> kNames{{
    {Tee::kAzSnpVtpm, "az-snp-vtpm"},
    {Tee::kAzTdxVtpm, "az-tdx-vtpm"},
    {Tee::kNvidia, "nvidia"},
    {Tee::kSgx, "sgx"},
    {Tee::kSnp, "snp"},
    {Tee::kTdx, "tdx"},
    {Tee::kCca, "cca"},
    {Tee::kCsv, "csv"},
    {Tee::kSe, "se"},
    {Tee::kHygonDcu, "hygondcu"},
    {Tee::kTpm, "tpm"},
    {Tee::kSample, "sample"},
    {Tee::kSampleDevice, "sampledevice"},
}};

}  // namespace

std::string_view tee_name(Tee tee) {
  for (const auto& entry : kNames) {
    if (entry.tee == tee) return entry.name;
  }
  return "unknown";
}

Result<Tee> parse_tee(std::string_view name) {
  for (const auto& entry : kNames) {
    if (entry.name == name) return entry.tee;
  }
  return fail(Code::kInvalidArgument, fmt::format("read TEE: no TEE is called '{}'", name));
}

std::string_view tee_class(Tee tee) {
  switch (tee) {
    case Tee::kNvidia:
    case Tee::kSampleDevice:
      return "gpu";
    case Tee::kHygonDcu:
      return "dcu";
    case Tee::kAzSnpVtpm:
    case Tee::kAzTdxVtpm:
    case Tee::kSgx:
    case Tee::kSnp:
    case Tee::kTdx:
    case Tee::kCca:
    case Tee::kCsv:
    case Tee::kSe:
    case Tee::kTpm:
    case Tee::kSample:
      break;
  }
  return "cpu";
}

}  // namespace coffer::protocol
