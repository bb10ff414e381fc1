// Firmware and kernel images are files that somebody hands us.
#include <cstddef>
#include <cstdint>

#include "tee/eventlog/boot_events.h"
#include "tee/eventlog/qemu_kernel.h"
#include "tee/tdx/td_hob.h"
#include "tee/tdx/tdvf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const BytesView image(data, size);
  if (const auto sections = tdx::parse_tdvf(image)) {
    for (const auto& section : *sections) static_cast<void>(section.data(image));
    static_cast<void>(tdx::build_td_hob(*sections, std::uint64_t{2} << 30U));
  }
  static_cast<void>(eventlog::qemu_patched_kernel(
      image, {.memory = std::uint64_t{2} << 30U, .initrd_size = 1, .command_line = "a"}));
  static_cast<void>(eventlog::authenticode(eventlog::Alg::kSha256, image));
  return 0;
}
