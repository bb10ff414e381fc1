// What an ELF64 little-endian file says about itself, as far as an image builder asks: the shared
// libraries that it needs, its interpreter, its dynamic symbols, and a kernel module's .modinfo.
// System V ABI, "Object Files"; ELF-64 Object File Format 1.5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::guest_image {

struct ElfInfo {
  std::vector<std::string> needed;         // DT_NEEDED, in order
  std::optional<std::string> interpreter;  // PT_INTERP
  std::vector<std::string> modinfo;        // "key=value" strings of section .modinfo
  // Dynamic symbols: those that others must define (weak ones not counted), and those that it
  // defines.
  std::vector<std::string> undefined, defined;
};

// `what` names the file in errors. kInvalidArgument when it is no 64-bit little-endian ELF file, or
// when an offset or size in it leads outside of it.
[[nodiscard]] Result<ElfInfo> read_elf(BytesView bytes, const std::string& what);

}  // namespace coffer::guest_image
