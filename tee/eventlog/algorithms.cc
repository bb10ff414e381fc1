#include <fmt/format.h>

#include <array>

#include "tee/digest.h"
#include "tee/eventlog/event_log.h"

namespace coffer::eventlog {
namespace {

struct AlgInfo {
  Alg alg;
  std::string_view name;
  std::size_t size;
  std::optional<tee::HashAlgorithm> hasher;
};

constexpr std::array<AlgInfo, 5> kAlgs = {{
    {Alg::kSha1, "sha1", 20, tee::HashAlgorithm::kSha1},
    {Alg::kSha256, "sha256", 32, tee::HashAlgorithm::kSha256},
    {Alg::kSha384, "sha384", 48, tee::HashAlgorithm::kSha384},
    {Alg::kSha512, "sha512", 64, tee::HashAlgorithm::kSha512},
    {Alg::kSm3, "sm3", 32, std::nullopt},
}};

const AlgInfo* find(Alg alg) {
  for (const auto& info : kAlgs) {
    if (info.alg == alg) return &info;
  }
  return nullptr;
}

}  // namespace

std::string_view alg_name(Alg alg) {
  const AlgInfo* info = find(alg);
  return info == nullptr ? "unknown" : info->name;
}

std::optional<std::size_t> alg_size(Alg alg) {
  const AlgInfo* info = find(alg);
  if (info == nullptr) return std::nullopt;
  return info->size;
}

std::optional<Alg> alg_from_name(std::string_view name) {
  for (const auto& info : kAlgs) {
    if (info.name == name) return info.alg;
  }
  return std::nullopt;
}

Result<Bytes> hash(Alg alg, BytesView data) {
  const AlgInfo* info = find(alg);
  if (info == nullptr) {
    return fail(Code::kUnimplemented,
                fmt::format("hash: algorithm {:#06x} is unknown", static_cast<unsigned>(alg)));
  }
  if (!info->hasher) {
    return fail(Code::kUnimplemented, fmt::format("hash: {} is not supported", info->name));
  }
  return tee::hash(*info->hasher, data);
}

Result<Bytes> extend(Alg alg, BytesView value, BytesView digest) {
  Bytes both(value.begin(), value.end());
  both.insert(both.end(), digest.begin(), digest.end());
  return hash(alg, both);
}

std::string event_type_name(std::uint32_t type) {
  switch (type) {
    case kEvPostCode:
      return "EV_POST_CODE";
    case kEvNoAction:
      return "EV_NO_ACTION";
    case kEvSeparator:
      return "EV_SEPARATOR";
    case kEvAction:
      return "EV_ACTION";
    case kEvEventTag:
      return "EV_EVENT_TAG";
    case kEvSCrtmVersion:
      return "EV_S_CRTM_VERSION";
    case kEvPlatformConfigFlags:
      return "EV_PLATFORM_CONFIG_FLAGS";
    case kEvIpl:
      return "EV_IPL";
    case kEvNonhostInfo:
      return "EV_NONHOST_INFO";
    case kEvEfiVariableDriverConfig:
      return "EV_EFI_VARIABLE_DRIVER_CONFIG";
    case kEvEfiVariableBoot:
      return "EV_EFI_VARIABLE_BOOT";
    case kEvEfiBootServicesApplication:
      return "EV_EFI_BOOT_SERVICES_APPLICATION";
    case kEvEfiGptEvent:
      return "EV_EFI_GPT_EVENT";
    case kEvEfiAction:
      return "EV_EFI_ACTION";
    case kEvEfiPlatformFirmwareBlob:
      return "EV_EFI_PLATFORM_FIRMWARE_BLOB";
    case kEvEfiPlatformFirmwareBlob2:
      return "EV_EFI_PLATFORM_FIRMWARE_BLOB2";
    case kEvEfiHandoffTables2:
      return "EV_EFI_HANDOFF_TABLES2";
    case kEvEfiVariableBoot2:
      return "EV_EFI_VARIABLE_BOOT2";
    case kEvEfiVariableAuthority:
      return "EV_EFI_VARIABLE_AUTHORITY";
    default:
      return fmt::format("{:#010x}", type);
  }
}

}  // namespace coffer::eventlog
