#include "shim/qemu/accelerator.h"

#include <fmt/format.h>

namespace coffer::shim {

Result<ChosenAccelerator> choose_accelerator(const HypervisorConfig& config, Tee tee,
                                             const host::KvmState& kvm) {
  const bool hardware_tee = tee != Tee::kNone && !config.tee_emulation;
  if (hardware_tee && !kvm.usable) {
    return fail(Code::kFailedPrecondition,
                fmt::format("tee = \"{}\": needs KVM: {}", tee_name(tee), kvm.reason));
  }
  if (hardware_tee) return ChosenAccelerator{true, std::nullopt};
  switch (config.accelerator) {
    case Accelerator::kTcg:
      return ChosenAccelerator{false, std::nullopt};
    case Accelerator::kKvm:
      if (kvm.usable) return ChosenAccelerator{true, std::nullopt};
      return fail(
          Code::kFailedPrecondition,
          fmt::format("accelerator = \"kvm\": {} (\"auto\" would emulate instead)", kvm.reason));
    case Accelerator::kAuto:
      break;
  }
  if (kvm.usable) return ChosenAccelerator{true, std::nullopt};
  return ChosenAccelerator{false,
                           fmt::format("no KVM, the pod is emulated and slow: {}", kvm.reason)};
}

}  // namespace coffer::shim
