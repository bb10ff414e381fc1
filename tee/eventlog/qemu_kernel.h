// The kernel that firmware loads, and measures, in a plain VM of QEMU: not the file, but the file
// with the fields that a boot loader fills in its setup header.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::eventlog {

struct QemuDirectBoot {
  std::uint64_t memory = 0;  // bytes: -m
  std::optional<std::uint64_t> initrd_size = {};
  std::string_view command_line = {};
};

// As QEMU's q35 machine does it (hw/i386/x86-common.c, x86_load_linux): type_of_loader,
// CAN_USE_HEAP, heap_end_ptr, cmd_line_ptr, ramdisk_image, ramdisk_size (Linux boot protocol,
// Documentation/arch/x86/boot.rst). QEMU leaves the file alone for SEV-SNP and TDX guests.
// kInvalidArgument when it is no bzImage of protocol 2.12 or later, or does not fit the memory;
// kUnimplemented on a command line with "vga=", which changes one more field.
[[nodiscard]] Result<Bytes> qemu_patched_kernel(BytesView kernel, const QemuDirectBoot& boot);

}  // namespace coffer::eventlog
