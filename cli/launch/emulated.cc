#include "cli/launch/emulated.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/launch/tpm.h"
#include "tee/emulator/snp_pki.h"
#include "tee/emulator/tdx_pki.h"
#include "tee/sev-snp/launch_digest.h"
#include "tee/sev-snp/vcpu.h"
#include "tee/tdx/mrtd.h"
#include "tee/tdx/rtmr.h"

namespace coffer::launch {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxBoot = std::size_t{1} << 30U;
// edk2 OvmfPkg/AmdSev/AmdSevX64.fdf: PcdQemuHashTableBase.
constexpr std::uint32_t kHashTableGpa = 0x810c00;
constexpr std::uint32_t kPage = 0x1000;
// As the class of real SNP guests starts them (shim/qemu/command_line.cc).
constexpr std::string_view kSnpCpu = "EPYC-v4";

struct BootFiles {
  std::string firmware, kernel, initrd;
};

Result<BootFiles> read_files(const Request& request) {
  if (request.firmware.empty()) {
    return fail(Code::kFailedPrecondition,
                "measure the launch: no firmware (set 'firmware' in the class's configuration: it "
                "is measured, not run)");
  }
  BootFiles out;
  COFFER_TRY(out.firmware, read_file(request.firmware, kMaxBoot));
  COFFER_TRY(out.kernel, read_file(request.kernel, kMaxBoot));
  if (!request.initrd.empty()) {
    COFFER_TRY(out.initrd, read_file(request.initrd, kMaxBoot));
  }
  return out;
}

Result<std::string> fresh_id() {
  std::array<std::uint8_t, 32> id{};
  if (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
    return fail_errno(errno, "draw a report id");
  }
  return to_hex(id);
}

Result<Json> snp_launch(const Request& request, const BootFiles& files) {
  snp::SnpLaunch launch;
  launch.kernel = snp::hash_kernel(as_bytes(files.kernel), as_bytes(files.initrd), request.append);
  const BytesView firmware = as_bytes(files.firmware);
  COFFER_TRY(launch.metadata, snp::parse_sev_metadata(firmware));
  if (!launch.metadata.hashes_table_gpa) {
    launch.metadata.hashes_table_gpa = kHashTableGpa;
    launch.metadata.sections.push_back({.gpa = kHashTableGpa / kPage * kPage,
                                        .size = kPage,
                                        .type = snp::SectionType::kKernelHashes});
  }
  COFFER_TRY(launch.firmware, snp::measure_firmware(firmware));
  snp::GuestCpus cpus;
  cpus.count = request.vcpus;
  COFFER_TRY(cpus.signature, snp::vcpu_signature_of(kSnpCpu));
  COFFER_TRY(const snp::LaunchDigest digest, snp::snp_launch_digest(launch, cpus));
  COFFER_TRY(const std::string id, fresh_id());
  return Json{{"measurement", to_hex(digest)}, {"policy", request.policy}, {"report_id", id}};
}

Result<Json> tdx_launch(const Request& request, const BootFiles& files) {
  const BytesView firmware = as_bytes(files.firmware);
  COFFER_TRY(const auto mr_td, tdx::compute_mrtd(firmware, tdx::MrtdOrder::kSinglePass));
  tdx::DirectBoot boot;
  boot.kernel = as_bytes(files.kernel);
  if (!files.initrd.empty()) boot.initrd = as_bytes(files.initrd);
  boot.command_line = request.append;
  tdx::PlatformShape shape;
  shape.memory = request.memory_mib << 20U;
  COFFER_TRY(const tdx::BootEvents events,
             tdx::predict_events(firmware, boot, std::optional(shape)));
  Json out{{"mr_td", to_hex(mr_td)},
           {"rtmr_1", to_hex(tdx::replay_events(events.rtmr1))},
           {"rtmr_2", to_hex(tdx::replay_events(events.rtmr2))}};
  if (events.rtmr0) out["rtmr_0"] = to_hex(tdx::replay_events(*events.rtmr0));
  return out;
}

Result<Json> snp_values(const Json& launch, const Json& pki) {
  COFFER_TRY(const auto amd, emulator::FakeAmd::load(pki.dump()));
  const snp::Tcb& tcb = amd.spec().platform.tcb;
  return Json{{"snp_launch_measurement", Json::array({launch["measurement"]})},
              {"snp_bootloader", Json::array({tcb.boot_loader})},
              {"snp_tee_svn", Json::array({tcb.tee})},
              {"snp_snp_svn", Json::array({tcb.snp})},
              {"snp_microcode", Json::array({tcb.microcode})}};
}

Result<Json> tdx_values(const Json& launch, const Json& pki) {
  COFFER_TRY(const auto intel, emulator::FakeIntel::load(pki.dump()));
  return Json{{"mr_td", Json::array({launch["mr_td"]})},
              {"rtmr_1", Json::array({launch["rtmr_1"]})},
              {"rtmr_2", Json::array({launch["rtmr_2"]})},
              {"xfam", Json::array({to_hex(intel.quote_spec().td.xfam)})}};
}

}  // namespace

Result<Json> reference_values(std::string_view tee, const Json& launch, const Json& pki) {
  if (tee == "snp") return snp_values(launch, pki);
  if (tee == "tdx") return tdx_values(launch, pki);
  return Json{{"tpm_pcr04", Json::array({launch["pcr04"]})},
              {"tpm_pcr09", Json::array({launch["pcr09"]})}};
}

Result<Json> emulated_launch(const Request& request, BytesView host_data) {
  if (request.tee == "tpm") {
    auto launch = tpm_launch(request);
    if (!launch) return fail(std::move(launch).error().with_context("predict the launch's PCRs"));
    return launch;
  }
  COFFER_TRY(const BootFiles files, read_files(request));
  const bool is_snp = request.tee == "snp";
  auto launch = is_snp ? snp_launch(request, files) : tdx_launch(request, files);
  if (!launch) return fail(std::move(launch).error().with_context("measure the emulated launch"));
  if (!host_data.empty()) (*launch)[is_snp ? "host_data" : "mr_config_id"] = to_hex(host_data);
  return launch;
}

}  // namespace coffer::launch
