// MRTD: what the TDX module measures while the VMM builds the TD from the firmware image.
//
// Algorithm: Intel TDX Module 1.5 ABI, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND; order of the pages:
// TDVF Design Guide, section 11.2.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/digest.h"

namespace coffer::tdx {

// The order of the VMM's calls, which MRTD depends on.
enum class MrtdOrder : std::uint8_t {
  kSinglePass,  // per page: ADD, then its 16 EXTENDs (upstream KVM, KVM_TDX_INIT_MEM_REGION)
  kTwoPass,     // per section: every ADD, then every EXTEND (QEMU before 9.2 with Intel's patches)
};

// kInvalidArgument when the image's metadata is malformed (tdvf.h).
[[nodiscard]] Result<tee::Digest384> compute_mrtd(BytesView firmware, MrtdOrder order);

}  // namespace coffer::tdx
