// The hand-off block list that QEMU builds for a TD and that OVMF measures first into RTMR0: the
// memory map of the TD.
//
// Layout: UEFI PI 1.8, volume 3, section 5 (EFI_HOB_HANDOFF_INFO_TABLE,
// EFI_HOB_RESOURCE_DESCRIPTOR); contents: QEMU hw/i386/tdvf-hob.c.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/tdx/tdvf.h"

namespace coffer::tdx {

// The measured bytes: every HOB but the end HOB. `memory` is the TD's size in bytes.
// kInvalidArgument when the firmware has no TD_HOB section, or its sections do not fit the memory.
[[nodiscard]] Result<Bytes> build_td_hob(std::span<const TdvfSection> sections,
                                         std::uint64_t memory);

}  // namespace coffer::tdx
