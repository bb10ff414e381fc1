#include "shim/sandbox/launch.h"

#include <fmt/core.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "shim/sandbox/launch_request.h"

namespace coffer::shim {
namespace {

// It reads kernel and initrd, and makes a vendor's keys the first time.
constexpr std::chrono::seconds kPatience{60};

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
  if (!is_emulated_launch(request.tee, config)) return {};
  if (request.tee == Tee::kTpm) {
    spec.fw_cfg.push_back(
        {std::string(kAkCertificateItem), (request.folder / kAkCertificate).native()});
  } else {
    spec.fw_cfg.push_back(
        {std::string(kEmulatedGuestItem), (request.folder / "tee.json").native()});
  }
  return {};
}

}  // namespace

bool is_emulated_launch(Tee tee, const HypervisorConfig& config) {
  return config.tee_emulation && (tee == Tee::kSnp || tee == Tee::kTdx || tee == Tee::kTpm);
}

Task<Status> prepare_launch(std::filesystem::path helper, LaunchRequest request,
                            const HypervisorConfig& config, VmSpec& spec) {
  SpawnOptions program;
  program.argv.push_back(helper.native());
  program.parent_death_signal = SIGKILL;
  RunOptions options;
  options.input = launch_request(request, config, spec);
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
