#include "tee/eventlog/qemu_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace coffer::eventlog {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

Bytes make_kernel(unsigned version = 0x20f, std::uint8_t xload_flags = 0x7f) {
  Bytes kernel(0x1000);
  for (std::size_t i = 0; i < 4; ++i) kernel[0x202 + i] = static_cast<std::uint8_t>("HdrS"[i]);
  kernel[0x206] = static_cast<std::uint8_t>(version);
  kernel[0x207] = static_cast<std::uint8_t>(version >> 8U);
  kernel[0x211] = 1;
  kernel[0x22f] = 0x37;  // initrd_addr_max
  kernel[0x236] = xload_flags;
  return kernel;
}

std::map<std::size_t, unsigned> changes(const Bytes& before, const Bytes& after) {
  std::map<std::size_t, unsigned> out;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != after[i]) out[i] = after[i];
  }
  return out;
}

TEST(QemuKernel, FillsTheLoadersFieldsAndNothingElse) {
  const Bytes kernel = make_kernel();
  const Bytes patched = qemu_patched_kernel(kernel, {.memory = 512 * kMiB}).value();
  EXPECT_EQ(
      changes(kernel, patched),
      (std::map<std::size_t, unsigned>{{0x210, 0xb0}, {0x211, 0x81}, {0x225, 0xfe}, {0x22a, 2}}));
}

// 512 MiB less 0x28000 of ACPI data, less the initrd, down to a page.
TEST(QemuKernel, PutsTheInitrdAtTheTopOfLowMemory) {
  const auto address = [](std::uint64_t memory, std::uint64_t size, const Bytes& kernel) {
    const Bytes out =
        qemu_patched_kernel(kernel, {.memory = memory, .initrd_size = size, .command_line = ""})
            .value();
    EXPECT_EQ(out[0x21c] | out[0x21d] << 8U, static_cast<int>(size));
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 4; ++i) value |= std::uint64_t{out[0x218 + i]} << (8 * i);
    return value;
  };
  EXPECT_EQ(address(512 * kMiB, 0x1001, make_kernel()), 0x1ffd6000U);
  EXPECT_EQ(address(512 * kMiB, 0x0fff, make_kernel()), 0x1ffd7000U);
  EXPECT_EQ(address(0xb0000000U - kMiB, 1, make_kernel()), 0xafed7000U);
  EXPECT_EQ(address(0xb0000000U, 1, make_kernel()), 0x7ffd7000U) << "the rest is above 4 GiB";
  EXPECT_EQ(address(4096 * kMiB, 1, make_kernel(0x20f, 0)), 0x36fff000U) << "the kernel's limit";
}

TEST(QemuKernel, RefusesWhatItCannotFollow) {
  EXPECT_EQ(qemu_patched_kernel(make_kernel(), {.memory = kMiB, .command_line = "vga=791"})
                .error()
                .code(),
            Code::kUnimplemented);
  const auto refused = [](const Bytes& kernel, const QemuDirectBoot& boot) {
    const auto out = qemu_patched_kernel(kernel, boot);
    return out ? std::string() : out.error().to_string();
  };
  EXPECT_THAT(refused(make_kernel(0x20b), {.memory = 512 * kMiB}), HasSubstr("protocol 2.12"));
  Bytes other = make_kernel();
  other[0x202] = 'h';
  EXPECT_THAT(refused(other, {.memory = 512 * kMiB}), HasSubstr("protocol 2.12"));
  EXPECT_THAT(refused(Bytes(0x267), {.memory = 512 * kMiB}), HasSubstr("protocol 2.12"));
  EXPECT_THAT(refused(make_kernel(), {.memory = 0x28000, .initrd_size = 1}), HasSubstr("memory"));
  EXPECT_THAT(refused(make_kernel(), {.memory = kMiB, .initrd_size = kMiB}),
              HasSubstr("does not fit"));
}

}  // namespace
}  // namespace coffer::eventlog
