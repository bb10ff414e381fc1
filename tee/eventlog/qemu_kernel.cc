#include "tee/eventlog/qemu_kernel.h"

#include <fmt/format.h>

#include <algorithm>

namespace coffer::eventlog {
namespace {

// Offsets in the setup header.
constexpr std::size_t kMagic = 0x202;
constexpr std::size_t kVersion = 0x206;
constexpr std::size_t kTypeOfLoader = 0x210;
constexpr std::size_t kLoadFlags = 0x211;
constexpr std::size_t kRamdiskImage = 0x218;
constexpr std::size_t kRamdiskSize = 0x21c;
constexpr std::size_t kHeapEnd = 0x224;
constexpr std::size_t kCommandLine = 0x228;
constexpr std::size_t kInitrdMax = 0x22c;
constexpr std::size_t kXLoadFlags = 0x236;
constexpr std::size_t kHeaderEnd = 0x268;

constexpr unsigned kLoadedHigh = 1;
constexpr unsigned kCanUseHeap = 0x80;
constexpr unsigned kAbove4G = 2;  // XLF_CAN_BE_LOADED_ABOVE_4G
constexpr unsigned kMinVersion = 0x20c;

// QEMU's choices.
constexpr std::uint8_t kQemuLoader = 0xb0;
constexpr std::uint32_t kRealModeAddress = 0x10000;
constexpr std::uint32_t kCommandLineAddress = 0x20000;
constexpr std::uint64_t kAcpiData = 0x28000;
constexpr std::uint64_t kLargeMemory = 0xb0000000;
constexpr std::uint64_t kLowOfLargeMemory = 0x80000000;
constexpr std::uint64_t kPage = 4096;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("patch kernel as QEMU does: {}", why));
}

void put(Bytes& out, std::size_t at, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint32_t get(BytesView in, std::size_t at, unsigned size) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= static_cast<std::uint32_t>(in[at + i]) << (8 * i);
  return value;
}

// As high as kernel and low memory allow, below the ACPI tables.
Result<std::uint64_t> initrd_address(BytesView kernel, std::uint64_t memory, std::uint64_t size) {
  const std::uint64_t low = memory >= kLargeMemory ? kLowOfLargeMemory : memory;
  const bool anywhere = (get(kernel, kXLoadFlags, 2) & kAbove4G) != 0;
  std::uint64_t max = anywhere ? UINT32_MAX : get(kernel, kInitrdMax, 4);
  if (low <= kAcpiData) return bad("too little memory");
  max = std::min(max, low - kAcpiData - 1);
  if (size >= max) return bad("the initrd does not fit the memory");
  return (max - size) & ~(kPage - 1);
}

}  // namespace

Result<Bytes> qemu_patched_kernel(BytesView kernel, const QemuDirectBoot& boot) {
  constexpr std::string_view kHdrS = "HdrS";
  if (kernel.size() < kHeaderEnd || as_text(kernel.subspan(kMagic, 4)) != kHdrS ||
      get(kernel, kVersion, 2) < kMinVersion || (kernel[kLoadFlags] & kLoadedHigh) == 0) {
    return bad("want a bzImage of boot protocol 2.12 or later");
  }
  if (boot.command_line.find("vga=") != std::string_view::npos) {
    return fail(Code::kUnimplemented, "patch kernel as QEMU does: 'vga=' on the command line");
  }
  Bytes out(kernel.begin(), kernel.end());
  out[kTypeOfLoader] = kQemuLoader;
  out[kLoadFlags] = static_cast<std::uint8_t>(out[kLoadFlags] | kCanUseHeap);
  put(out, kHeapEnd, kCommandLineAddress - kRealModeAddress - 0x200, 2);
  put(out, kCommandLine, kCommandLineAddress, 4);
  if (boot.initrd_size) {
    COFFER_TRY(const auto address, initrd_address(kernel, boot.memory, *boot.initrd_size));
    put(out, kRamdiskImage, address, 4);
    put(out, kRamdiskSize, *boot.initrd_size, 4);
  }
  return out;
}

}  // namespace coffer::eventlog
