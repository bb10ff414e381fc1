#include "tee/detect.h"

#include <fmt/format.h>

#include "tee/tsm_linux.h"

namespace coffer::tee {
namespace {

Result<bool> is_there(const std::filesystem::path& path) {
  std::error_code error;
  const bool found = std::filesystem::exists(path, error);
  if (error) {
    return fail(Code::kUnknown, fmt::format("look for '{}': {}", path.string(), error.message()));
  }
  return found;
}

}  // namespace

DevicePaths DevicePaths::below(const std::filesystem::path& root) {
  return {.tsm_report = root / std::string_view(kTsmReportRoot).substr(1),
          .sev_guest = root / "dev/sev-guest",
          .tdx_guest = root / "dev/tdx_guest",
          .tpm = root / "dev/tpmrm0"};
}

Result<std::optional<std::string>> detect_tee(const DevicePaths& paths) {
  COFFER_TRY(const auto provider, tsm_provider(paths.tsm_report));
  if (provider == "sev_guest") return std::optional<std::string>("snp");
  if (provider == "tdx_guest") return std::optional<std::string>("tdx");
  COFFER_TRY(const bool sev_guest, is_there(paths.sev_guest));
  if (sev_guest) return std::optional<std::string>("snp");
  COFFER_TRY(const bool tdx_guest, is_there(paths.tdx_guest));
  if (tdx_guest) return std::optional<std::string>("tdx");
  COFFER_TRY(const bool tpm, is_there(paths.tpm));
  if (tpm) return std::optional<std::string>("tpm");
  return std::optional<std::string>{};
}

}  // namespace coffer::tee
