// The guest's side on Linux: quotes, TDREPORT, runtime measurement registers.
#pragma once

#include <array>
#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/attester.h"
#include "tee/detect.h"
#include "tee/tdx/td_report.h"

namespace coffer::tdx {

// TDX_CMD_GET_REPORT0 of the tdx_guest driver (Linux Documentation/virt/coco/tdx-guest.rst): a
// TDREPORT over these 64 bytes. kFailedPrecondition when there is no such device.
[[nodiscard]] Result<Bytes> td_report(const std::filesystem::path& device,
                                      const std::array<std::uint8_t, 64>& report_data);

// RTMR of a PCR number (UEFI 2.10, section 38.4.1): 1 and 7 are RTMR0, 2 to 6 RTMR1, 8 to 15 RTMR2,
// all others, which firmware never uses, RTMR3.
[[nodiscard]] unsigned rtmr_of_pcr(unsigned pcr);

struct DeviceSettings {
  tee::DevicePaths paths;
  // Linux 6.16 and later: rtmr0:sha384 to rtmr3:sha384, mrconfigid.
  std::filesystem::path measurements;
  // The CCEL's data, handed out with the evidence when it is there.
  std::filesystem::path ccel;
  // Where a quote generation service listens, for kernels without configfs-tsm.
  unsigned qgs_cid = 2;
  unsigned qgs_port = 4050;
  int qgs_timeout_ms = 30000;

  // `root` "/" is the machine's own.
  [[nodiscard]] static DeviceSettings below(const std::filesystem::path& root);
};

// Quotes come from configfs-tsm; without it, from a TDREPORT and the service over vsock.
[[nodiscard]] std::unique_ptr<tee::Attester> make_attester(DeviceSettings settings);

}  // namespace coffer::tdx
