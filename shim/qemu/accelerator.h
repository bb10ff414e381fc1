// KVM or TCG: what the class asks for against what the host can do.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/host/kvm.h"
#include "shim/config/config.h"

namespace coffer::shim {

struct ChosenAccelerator {
  bool kvm = false;
  std::optional<std::string> warning;  // to be logged: the pod runs, but slowly
};

// kFailedPrecondition when KVM cannot be used and the class, or its TEE, demands it.
[[nodiscard]] Result<ChosenAccelerator> choose_accelerator(const HypervisorConfig& config, Tee tee,
                                                           const host::KvmState& kvm);

}  // namespace coffer::shim
