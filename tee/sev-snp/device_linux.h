// Asks the kernel for SNP reports: through configfs-tsm, or through /dev/sev-guest on kernels
// before 6.7.
#pragma once

#include <optional>

#include "tee/attester.h"
#include "tee/detect.h"

namespace coffer::snp {

struct DeviceSettings {
  tee::DevicePaths paths = tee::DevicePaths::below("/");
  // The VMPL to ask for; nothing leaves it to the kernel: the most privileged that it may use.
  std::optional<unsigned> vmpl = std::nullopt;
};

// SNP has no runtime measurement registers: extend() is kUnimplemented.
class LinuxAttester final : public tee::Attester {
 public:
  explicit LinuxAttester(DeviceSettings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] std::string_view tee() const override { return "snp"; }
  [[nodiscard]] Result<tee::Evidence> evidence(BytesView report_data) override;
  [[nodiscard]] Status extend(unsigned index, BytesView digest) override;
  // HOST_DATA, 32 octets, of a report for zero report data.
  [[nodiscard]] Result<Bytes> host_bound_data() override;

 private:
  DeviceSettings settings_;
};

// The extended report of the device's ioctl interface (Linux Documentation/virt/coco/sev-guest.rst,
// SNP_GET_EXT_REPORT). Retries while the host is busy, at most 16 times.
[[nodiscard]] Result<tee::Evidence> ioctl_report(const std::filesystem::path& device,
                                                 BytesView report_data, unsigned vmpl);

}  // namespace coffer::snp
