// Which kernel modules an image holds, and in which order they load.
//
// Three lists go into the image, one entry a line (docs/formats/guest-image.md):
//   /etc/coffer/modules        "PATH": loaded at start, in this order
//   /etc/coffer/modules.names  "NAME PATH...": what NAME needs, dependencies first, NAME itself
//   last /etc/coffer/modules.alias  "PATTERN NAME": fnmatch(3) pattern of a device's modalias
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "guest-image/cpio.h"
#include "guest-image/kernel_package.h"

namespace coffer::guest_image {

// The modules of the standard image.
[[nodiscard]] std::span<const std::string_view> default_modules();

// Reads `kernel`'s copy of each of `names` and of everything they depend on into `tree`, below
// usr/lib/modules/VERSION, and writes the three lists. Names that are built in are left out;
// kNotFound names all that are neither. A cycle of dependencies is kInvalidArgument.
// `at_start` are names (also in `names`) that load at start whatever devices there are.
[[nodiscard]] Status add_modules(CpioTree& tree, const Kernel& kernel,
                                 std::span<const std::string> names,
                                 std::span<const std::string> at_start);

}  // namespace coffer::guest_image
