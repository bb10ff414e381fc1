#include "base/host/kvm.h"
#include "base/host/tee.h"
#include "shim/qemu/accelerator.h"
#include "shim/task/serve.h"

namespace coffer::shim {
namespace {

Result<bool> use_kvm(const HypervisorConfig& config, Tee tee, Logger log) {
  // The probe costs a process: not where its answer does not matter.
  if (config.accelerator == Accelerator::kTcg && tee == Tee::kNone) return false;
  COFFER_TRY(const ChosenAccelerator chosen, choose_accelerator(config, tee, host::kvm_state()));
  if (chosen.warning) log.warn(*chosen.warning);
  return chosen.kvm;
}

}  // namespace

Host system_host() {
  Host host;
  // The programs of one installation stand beside one another.
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed) host.launch_helper = self.parent_path() / "coffer-launch";
  host.start_machine = start_qemu;
  host.connect_network = connect_network;
  host.create_netns = create_netns;
  host.use_kvm = use_kvm;
  const coffer::host::Tees tees = coffer::host::detect_tees();
  host.tees = {.snp = tees.snp, .tdx = tees.tdx};
  host.undo = {.disconnect_network = disconnect_network, .remove_netns = remove_netns};
  host.memory_mib = coffer::host::memory_mib();
  host.cpus = coffer::host::cpu_count();
  return host;
}

}  // namespace coffer::shim
