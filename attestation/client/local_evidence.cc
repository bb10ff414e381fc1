#include "attestation/client/local_evidence.h"

#include <fmt/format.h>

#include "tee/detect.h"
#include "tee/sev-snp/device_linux.h"
#include "tee/tdx/device_linux.h"
#include "tee/tpm/device.h"

namespace coffer::client {
namespace {

tpm::DeviceSettings tpm_settings(const tee::DevicePaths& paths, const std::filesystem::path& root) {
  tpm::DeviceSettings settings;
  settings.tcti = "device:" + paths.tpm.string();
  settings.event_log = root / "sys/kernel/security/tpm0/binary_bios_measurements";
  // Where Coffer's development class puts it. Whoever gives it can give anything: the broker looks
  // at who signed it, and for which key.
  settings.ak_certificate =
      root / "sys/firmware/qemu_fw_cfg/by_name/opt/org.coffer/tpm-ak-certificate/raw";
  return settings;
}

}  // namespace

Result<std::unique_ptr<EvidenceSource>> make_local_source(std::string_view tee,
                                                          const std::filesystem::path& root) {
  const auto paths = tee::DevicePaths::below(root);
  std::string name(tee);
  if (tee == "auto") {
    COFFER_TRY(const auto found, tee::detect_tee(paths));
    if (!found) {
      return fail(Code::kFailedPrecondition,
                  "find TEE: this machine shows none of SEV-SNP, TDX and TPM; a broker that is set "
                  "up for tests takes --tee sample");
    }
    name = *found;
  }
  if (name == "sample") return make_sample_source();
  if (name == "snp") {
    return make_source(std::make_unique<snp::LinuxAttester>(
        snp::DeviceSettings{.paths = paths, .vmpl = std::nullopt}));
  }
  if (name == "tdx") return make_source(tdx::make_attester(tdx::DeviceSettings::below(root)));
  if (name == "tpm") return make_source(tpm::make_attester(tpm_settings(paths, root)));
  return fail(Code::kInvalidArgument,
              fmt::format("find TEE: got '{}', want auto, snp, tdx, tpm or sample", name));
}

}  // namespace coffer::client
