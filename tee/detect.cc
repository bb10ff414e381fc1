#include "tee/detect.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string_view>

#include "base/fd.h"
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

// The flags stand in the first CPU's lines.
bool cpu_has_flag(const std::filesystem::path& cpuinfo, std::string_view flag) {
  constexpr std::size_t kEnough = std::size_t{16} << 10U;
  const auto file = open_file(cpuinfo, O_RDONLY);
  if (!file) return false;
  std::string text(kEnough, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(file->get(), text.data() + size, text.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  const auto flags = text.find("\nflags");
  if (flags == std::string::npos) return false;
  const auto line = text.substr(flags + 1, text.find('\n', flags + 1) - flags - 1) + " ";
  return line.find(fmt::format(" {} ", flag)) != std::string::npos;
}

// By the drivers.
Result<std::optional<std::string>> by_device(const DevicePaths& paths) {
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

Result<std::optional<std::string>> by_kernel(const DevicePaths& paths) {
  COFFER_TRY(const bool snp, is_there(paths.cpu_sev));
  if (snp) return std::optional<std::string>("snp");
  if (cpu_has_flag(paths.cpuinfo, "tdx_guest")) return std::optional<std::string>("tdx");
  return std::optional<std::string>{};
}

}  // namespace

DevicePaths DevicePaths::below(const std::filesystem::path& root) {
  return {.tsm_report = root / std::string_view(kTsmReportRoot).substr(1),
          .sev_guest = root / "dev/sev-guest",
          .tdx_guest = root / "dev/tdx_guest",
          .tpm = root / "dev/tpmrm0",
          .cpu_sev = root / "sys/devices/system/cpu/sev",
          .cpuinfo = root / "proc/cpuinfo"};
}

Result<std::optional<std::string>> detect_tee(const DevicePaths& paths) {
  COFFER_TRY(auto found, by_device(paths));
  COFFER_TRY(const auto kernel, by_kernel(paths));
  if (!kernel || found == kernel) return found;
  return fail(
      Code::kFailedPrecondition,
      fmt::format("find TEE: the kernel runs in one ({}), and its device is not there, only "
                  "{} (is its driver loaded?)",
                  *kernel, found.value_or("none")));
}

}  // namespace coffer::tee
