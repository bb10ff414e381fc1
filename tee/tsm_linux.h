// Linux' TSM report interface in configfs, the same for SNP, TDX and their emulator.
//
// Documentation/ABI/testing/configfs-tsm-report (Linux 6.7 and later): one directory a request;
// write inblob, read outblob, and check that `generation` did not move under us.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tee {

struct TsmRequest {
  BytesView inblob;  // 1..64 bytes
  // privlevel: the VMPL of SNP; nothing leaves the provider's default.
  std::optional<unsigned> privilege_level = std::nullopt;
  // service_provider: "svsm" asks the SVSM for a service manifest too.
  std::string service_provider = {};
};

struct TsmReport {
  std::string provider;  // "sev_guest", "tdx_guest", ...
  Bytes outblob;         // report or quote
  Bytes auxblob;         // certificate table; empty when the provider has none
  Bytes manifestblob;    // only with a service_provider
};

// The default root of the interface.
inline constexpr std::string_view kTsmReportRoot = "/sys/kernel/config/tsm/report";

// Asks the provider below `root`, once more for each time that another writer got between (at most
// 8 times, then kUnavailable). kFailedPrecondition when the interface or a provider is missing,
// kUnavailable when the provider timed out. Blocks.
[[nodiscard]] Result<TsmReport> tsm_report(const std::filesystem::path& root,
                                           const TsmRequest& request);

// The provider that answers below `root`, without asking for a report; nothing when there is none.
[[nodiscard]] Result<std::optional<std::string>> tsm_provider(const std::filesystem::path& root);

}  // namespace coffer::tee
