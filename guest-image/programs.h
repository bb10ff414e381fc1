// Brings a program and every shared library that it needs into an image, without running it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "guest-image/cpio.h"

namespace coffer::guest_image {

// Adds the file `program` to the tree as `as` (mode 0755), and its interpreter and libraries,
// looked up in `root`'s library folders, at the paths that the dynamic loader expects them at.
// Libraries that are there already are kept. kNotFound names the library and who needs it.
[[nodiscard]] Status add_program(CpioTree& tree, const std::filesystem::path& program,
                                 std::string_view as, const std::filesystem::path& root);

}  // namespace coffer::guest_image
