#include "cli/launch/tpm.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "tee/emulator/software_tpm.h"
#include "tee/emulator/tpm_pki.h"
#include "tee/tpm/device.h"
#include "tee/tpm/key.h"
#include "tee/tpm/predict.h"

namespace coffer::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBoot = std::size_t{1} << 30U;

Status make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0) {
    return fail_errno(errno, fmt::format("make folder '{}'", folder.string()));
  }
  return {};
}

Result<tee::PublicKey> manufacture(const fs::path& folder) {
  COFFER_TRY_VOID(make_folder(folder));
  COFFER_TRY(const auto software, emulator::SoftwareTpm::start(folder));
  COFFER_TRY(tpm::Tpm tpm, tpm::Tpm::open(software->tcti()));
  COFFER_TRY_VOID(tpm.allocate_bank(eventlog::Alg::kSha256));
  COFFER_TRY(const Bytes ak, tpm.create_ak());
  COFFER_TRY_VOID(tpm.shut_down());
  COFFER_TRY(tpm::AttestationKey key, tpm::parse_tpm_public(ak));
  return std::move(key.key);
}

}  // namespace

Result<nlohmann::json> tpm_launch(const Request& request) {
  COFFER_TRY(const std::string kernel, read_file(request.kernel, kMaxBoot));
  std::string initrd;
  tpm::DirectBoot boot{.kernel = as_bytes(kernel),
                       .initrd = {},
                       .command_line = request.append,
                       .patched_for_memory = request.memory_mib << 20U};
  if (!request.initrd.empty()) {
    COFFER_TRY(initrd, read_file(request.initrd, kMaxBoot));
    boot.initrd = as_bytes(initrd);
  }
  COFFER_TRY(const auto pcrs, tpm::predict_pcrs(boot, eventlog::Alg::kSha256, nullptr));
  auto out = nlohmann::json::object();
  for (const auto& [pcr, value] : pcrs) out[fmt::format("pcr{:02}", pcr)] = to_hex(value);
  return out;
}

Status make_tpm(const Request& request, const nlohmann::json& pki) {
  COFFER_TRY(const auto maker, emulator::FakeTpmMaker::load(pki.dump()));
  auto key = manufacture(request.tpm);
  if (!key) return fail(std::move(key).error().with_context("make the pod's software TPM"));
  COFFER_TRY(const Bytes certificate, maker.certify(*key));
  return write_file(request.ak_certificate, as_text(certificate), 0600);
}

}  // namespace coffer::launch
