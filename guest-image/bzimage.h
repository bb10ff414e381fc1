// Takes the ELF kernel out of an x86 bzImage. QEMU boots it through its PVH entry point, without
// the guest having to decompress itself: under emulation that is a quarter of a boot.
//
// Layout: Documentation/arch/x86/boot.rst of the kernel, boot protocol 2.08 and later.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::guest_image {

// kInvalidArgument when it is no bzImage, is older than protocol 2.08, or holds no ELF file.
[[nodiscard]] Result<std::string> extract_kernel(BytesView bzimage);

}  // namespace coffer::guest_image
