#include "shim/sandbox/launch.h"

#include <fmt/core.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "base/subprocess.h"

namespace coffer::shim {
namespace {

// It reads kernel and initrd, and makes a vendor's keys the first time.
constexpr std::chrono::seconds kPatience{60};

bool is_played(Tee tee, const HypervisorConfig& config) {
  return config.tee_emulation && (tee == Tee::kSnp || tee == Tee::kTdx);
}

std::string request_text(const LaunchRequest& request, const HypervisorConfig& config,
                         const VmSpec& spec) {
  nlohmann::json out{{"tee", tee_name(request.tee)}, {"emulated", config.tee_emulation}};
  if (!request.initdata.empty()) {
    out["initdata"] = request.initdata;
    out["disk"] = (request.folder / "initdata.img").native();
  }
  if (is_played(request.tee, config)) {
    out["guest"] = (request.folder / "tee.json").native();
    out["vendor"] = config.tee_emulation_vendor;
    out["firmware"] = config.firmware;
    out["kernel"] = spec.kernel;
    out["initrd"] = spec.initrd;
    out["append"] = spec.kernel_params;
    out["vcpus"] = spec.vcpus;
    out["memory_mib"] = spec.memory_mib;
    out["policy"] = spec.snp_policy;
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status apply(const LaunchRequest& request, const HypervisorConfig& config, std::string_view answer,
             VmSpec& spec) {
  COFFER_TRY(const nlohmann::json json, parse_json(answer, "coffer-launch's answer"));
  const auto bound = json.is_object() ? json.find("host_data") : json.end();
  if (!json.is_object() || bound == json.end() || !bound->is_string()) {
    return fail(Code::kInternal, "read coffer-launch's answer: no 'host_data'");
  }
  COFFER_TRY(const Bytes host_data, from_hex(bound->get<std::string>()));
  spec.host_data = to_base64(host_data);
  if (!request.initdata.empty()) {
    VmDisk disk;
    disk.id = kInitdataDisk;
    disk.path = (request.folder / "initdata.img").native();
    spec.disks.push_back(std::move(disk));
  }
  if (is_played(request.tee, config)) {
    spec.fw_cfg.push_back(
        {std::string(kEmulatedGuestItem), (request.folder / "tee.json").native()});
  }
  return {};
}

}  // namespace

Task<Status> prepare_launch(std::filesystem::path helper, LaunchRequest request,
                            const HypervisorConfig& config, VmSpec& spec) {
  SpawnOptions program;
  program.argv.push_back(helper.native());
  program.parent_death_signal = SIGKILL;
  RunOptions options;
  options.input = request_text(request, config, spec);
  options.deadline = deadline_in(kPatience);
  Result<RunResult> ran = co_await run(std::move(program), std::move(options));
  if (!ran) {
    co_return std::unexpected(std::move(ran).error().with_context("prepare the pod's launch"));
  }
  if (ran->status.as_shell() != 0) {
    while (ran->err.ends_with('\n')) ran->err.pop_back();
    co_return fail(Code::kInvalidArgument,
                   fmt::format("prepare the pod's launch: {}",
                               ran->err.empty() ? "coffer-launch ended without a word" : ran->err));
  }
  co_return apply(request, config, ran->out, spec);
}

}  // namespace coffer::shim
