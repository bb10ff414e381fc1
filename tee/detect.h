// Which TEE this guest runs in, by the kernel's interfaces.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"

namespace coffer::tee {

// Paths of the kernel's interfaces, all below one root, so that an emulator or a test can stand in.
struct DevicePaths {
  std::filesystem::path tsm_report;  // configfs-tsm
  std::filesystem::path sev_guest;   // /dev/sev-guest
  std::filesystem::path tdx_guest;   // /dev/tdx_guest
  std::filesystem::path tpm;         // /dev/tpmrm0
  // What a kernel shows without any driver: a folder that is there in guests of SEV-SNP alone
  // (since 6.11), and the CPUs' flags.
  std::filesystem::path cpu_sev;
  std::filesystem::path cpuinfo;

  // `root` "/" is the machine's own.
  [[nodiscard]] static DevicePaths below(const std::filesystem::path& root);
};

// "snp", "tdx" or "tpm", in the order configfs-tsm, /dev/sev-guest, /dev/tdx_guest, /dev/tpmrm0;
// nothing when there is none. An error means "could not find out", never "none"; so does a kernel
// that runs in a TEE whose device is not there, as when its driver was not loaded. A vTPM alone is
// weaker than a TEE: a caller that demands one says so to the verifier.
[[nodiscard]] Result<std::optional<std::string>> detect_tee(const DevicePaths& paths);

}  // namespace coffer::tee
