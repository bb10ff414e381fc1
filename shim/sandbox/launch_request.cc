#include "shim/sandbox/launch_request.h"

#include <nlohmann/json.hpp>

#include "shim/sandbox/vm_plan.h"

namespace coffer::shim {

std::string launch_request(const LaunchRequest& request, const HypervisorConfig& config,
                           const VmSpec& spec) {
  nlohmann::json out{{"tee", tee_name(request.tee)}, {"emulated", config.tee_emulation}};
  const bool files = !request.folder.empty();
  if (!request.initdata.empty()) {
    out["initdata"] = request.initdata;
    if (files) out["disk"] = (request.folder / "initdata.img").native();
  }
  if (is_emulated_launch(request.tee, config)) {
    if (files && request.tee == Tee::kTpm) {
      out["tpm"] = (request.folder / kTpmState).native();
      out["ak_certificate"] = (request.folder / kAkCertificate).native();
    } else if (files) {
      out["guest"] = (request.folder / "tee.json").native();
    }
    out["vendor"] = config.tee_emulation_vendor;
    out["firmware"] = config.firmware;
  }
  if (is_emulated_launch(request.tee, config) || !files) {
    out["kernel"] = spec.kernel;
    out["initrd"] = spec.initrd;
    out["append"] = spec.kernel_params;
    out["vcpus"] = spec.vcpus;
    out["memory_mib"] = spec.memory_mib;
    out["policy"] = spec.snp_policy;
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::string> describe_launch(const ConfigSources& sources, const Host& host) {
  COFFER_TRY(const LoadedConfig loaded, load_config(sources));
  const Config& config = loaded.config;
  COFFER_TRY_VOID(validate(config));
  VmPlan plan;
  COFFER_TRY(plan.tee, resolve_tee(config.hypervisor, host.tees));
  if (plan.tee == Tee::kNone) {
    return fail(Code::kFailedPrecondition,
                "describe the launch: nothing is measured in a class without a TEE");
  }
  COFFER_TRY(plan.size, size_vm(config.hypervisor, {}, host.cpus, host.memory_mib));
  PodNetwork no_network;
  const VmOptions options = plan_vm(config, plan, no_network);
  LaunchRequest request;
  request.tee = plan.tee;
  return launch_request(request, config.hypervisor, options.spec) + "\n";
}

}  // namespace coffer::shim
