// Whether this host's KVM can run an ordinary guest.
//
// An open of /dev/kvm proves nothing, nor does a guest that only halts: where KVM itself runs in a
// VM whose hypervisor emulates instructions, a guest reaches HLT and then fails at the first
// VEX-encoded instruction, which every kernel's decompressor uses. The probe therefore runs one.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace coffer::host {

struct KvmState {
  bool usable = false;
  // Why not, in one line: "KVM cannot run an ordinary guest: KVM_EXIT_INTERNAL_ERROR suberror 1".
  std::string reason;
  bool operator==(const KvmState&) const = default;
};

// Enters a guest in long mode that executes `shlx` and reports its result. Takes a millisecond; a
// guest that hangs is given up after five seconds. Runs in a child process: call it before the
// process has threads.
[[nodiscard]] KvmState probe_kvm(const std::filesystem::path& device = "/dev/kvm");

// The same, remembered in `<dir>/kvm-probe` until the machine boots again. What only says that the
// device cannot be opened is not remembered: it may come later. A record that cannot be read or
// written costs a probe, nothing else.
[[nodiscard]] KvmState kvm_state(const std::filesystem::path& dir = "/run/kata",
                                 const std::filesystem::path& device = "/dev/kvm");

}  // namespace coffer::host
