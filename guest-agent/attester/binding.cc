#include "guest-agent/attester/binding.h"

#include <fmt/format.h>

#include <algorithm>

#include "attestation/initdata/initdata.h"
#include "tee/detect.h"
#include "tee/sev-snp/device_linux.h"
#include "tee/tdx/device_linux.h"
#include "tee/tpm/device.h"

namespace coffer::attester {
namespace {

std::string_view field_of(std::string_view tee) {
  return tee == "snp" ? "HOST_DATA" : "MRCONFIGID";
}

}  // namespace

std::unique_ptr<tee::Attester> make_attester(std::string_view tee,
                                             const std::filesystem::path& root) {
  const auto paths = tee::DevicePaths::below(root);
  if (tee == "snp") {
    return std::make_unique<snp::LinuxAttester>(
        snp::DeviceSettings{.paths = paths, .vmpl = std::nullopt});
  }
  if (tee == "tdx") return tdx::make_attester(tdx::DeviceSettings::below(root));
  if (tee != "tpm") return nullptr;
  tpm::DeviceSettings settings;
  settings.tcti = "device:" + paths.tpm.string();
  return tpm::make_attester(std::move(settings));
}

Result<bool> check_binding(tee::Attester* attester, BytesView digest) {
  if (attester == nullptr) return false;
  if (attester->tee() == "tpm") {
    const Bytes event = initdata::fit(digest, initdata::kTpmPcr);
    COFFER_TRY_VOID(attester->extend(initdata::kTpmPcrIndex, event));
    return true;
  }
  COFFER_TRY(const Bytes bound, attester->host_bound_data());
  const Bytes expected = initdata::fit(digest, bound.size());
  if (equal_constant_time(bound, expected)) return true;
  return fail(Code::kPermissionDenied,
              fmt::format("check initdata: {} is not its digest: expected {}, found {} (the host "
                          "gave other initdata than it launched the guest with)",
                          field_of(attester->tee()), to_hex(expected), to_hex(bound)));
}

Status check_nothing_bound(tee::Attester* attester) {
  if (attester == nullptr) return {};
  if (attester->tee() == "tpm") {
    // No initdata has this digest: a text is never empty.
    const Bytes nothing = initdata::digest(initdata::Algorithm::kSha256, "");
    return attester->extend(initdata::kTpmPcrIndex, initdata::fit(nothing, initdata::kTpmPcr));
  }
  COFFER_TRY(const Bytes bound, attester->host_bound_data());
  if (std::ranges::all_of(bound, [](std::uint8_t byte) { return byte == 0; })) return {};
  return fail(Code::kPermissionDenied,
              fmt::format("check initdata: {} is {}, and no initdata came (the host keeps it back)",
                          field_of(attester->tee()), to_hex(bound)));
}

}  // namespace coffer::attester
