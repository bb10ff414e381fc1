// Brings a program and every shared library that it needs into an image, without running it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "guest-image/cpio.h"

namespace coffer::guest_image {

// Where shared libraries come from.
struct Libraries {
  std::filesystem::path root = "/";
  // Name ("libsystemd.so.0") to the file that takes its place, for every program of the image.
  std::map<std::string, std::filesystem::path> replaced;
};

// Adds the file `program` to the tree as `as` (mode 0755), and its interpreter and libraries,
// looked up in `libraries.root`'s library folders, at the paths that the dynamic loader expects
// them at. Libraries that are there already are kept. kNotFound names the library and who needs it,
// or the symbols that a library put in another's place does not have: the program would not start.
[[nodiscard]] Status add_program(CpioTree& tree, const std::filesystem::path& program,
                                 std::string_view as, const Libraries& libraries);

}  // namespace coffer::guest_image
