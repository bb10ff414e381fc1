// The table of hashes through which firmware checks a directly booted kernel, its initrd and its
// command line.
//
// Layout: QEMU target/i386/sev.c (SevHashTable), edk2 OvmfPkg BlobVerifierLibSevHashes.
#pragma once

#include <array>
#include <string_view>

#include "base/bytes.h"
#include "tee/digest.h"

namespace coffer::snp {

inline constexpr std::size_t kKernelHashesSize = 176;  // 168, padded to 16
using KernelHashesTable = std::array<std::uint8_t, kKernelHashesSize>;

struct KernelHashes {
  tee::Digest256 kernel{}, initrd{}, cmdline{};
};

// `kernel` exactly as the VMM gets it, `initrd` empty for none, `cmdline` byte for byte, without
// the NUL that is hashed after it.
[[nodiscard]] KernelHashes hash_kernel(BytesView kernel, BytesView initrd,
                                       std::string_view cmdline);
[[nodiscard]] KernelHashesTable kernel_hashes_table(const KernelHashes& hashes);
// The page that holds the table at `table_gpa`'s place in it; nothing else in it.
[[nodiscard]] Bytes kernel_hashes_page(const KernelHashes& hashes, std::uint32_t table_gpa);

}  // namespace coffer::snp
