// RTMR0 to RTMR2 of a TD that QEMU boots directly: OVMF, kernel, initrd, command line.
//
// Events: edk2 OvmfPkg (TdxHelper, PlatformInitLib, BdsDxe) and the Linux EFI stub; their order as
// in the logs of such TDs (docs/attestation/evidence-tdx.md).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/digest.h"

namespace coffer::tdx {

struct DirectBoot {
  BytesView kernel;  // as given to QEMU
  std::optional<BytesView> initrd;
  std::string command_line;
  // OVMF before 2024 measures its ready-to-boot separator into RTMR0, not RTMR1.
  bool separator_in_rtmr0 = false;
  // Kernels without the stub's measurements (before 6.3, or without EFI stub) leave RTMR2 zero.
  bool stub_measures = true;
};

// What RTMR0 depends on besides the firmware image.
struct PlatformShape {
  std::uint64_t memory = 0;  // bytes
  // SHA-384 of etc/table-loader, etc/acpi/rsdp and etc/acpi/tables as QEMU serves them, in that
  // order: they follow the machine's shape and QEMU's version.
  std::array<tee::Digest384, 3> acpi{};
};

struct MeasuredEvent {
  std::string what;
  tee::Digest384 digest{};
};

// The events of each register, in order. `shape` absent: RTMR0 is unknown, and empty.
struct BootEvents {
  std::optional<std::vector<MeasuredEvent>> rtmr0;
  std::vector<MeasuredEvent> rtmr1, rtmr2;
};

// RTMR0 alone, which depends on no kernel. `separator_in_rtmr0` as in DirectBoot.
[[nodiscard]] Result<std::vector<MeasuredEvent>> predict_rtmr0(BytesView firmware,
                                                               const PlatformShape& shape,
                                                               bool separator_in_rtmr0);
[[nodiscard]] Result<BootEvents> predict_events(BytesView firmware, const DirectBoot& boot,
                                                const std::optional<PlatformShape>& shape);

// The register's value after these events, from zero.
[[nodiscard]] tee::Digest384 replay_events(const std::vector<MeasuredEvent>& events);

}  // namespace coffer::tdx
