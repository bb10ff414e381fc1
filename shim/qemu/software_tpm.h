// The software TPM of a pod of the development class: swtpm, beside QEMU.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"

namespace coffer::shim {

inline constexpr const char* kSwtpm = "/usr/bin/swtpm";

struct SoftwareTpm {
  Child child;
  Fd control;  // QEMU's end of its control channel, over which QEMU hands it the commands' socket
};

// Runs the TPM whose state lies in `state` (coffer-launch made it) in the given network namespace;
// it logs to the file swtpm.log beside that folder. It ends with QEMU's connection for commands,
// and dies with the calling thread. kFailedPrecondition when swtpm is not installed.
[[nodiscard]] Result<SoftwareTpm> start_software_tpm(const std::filesystem::path& state,
                                                     int netns_fd);

}  // namespace coffer::shim
