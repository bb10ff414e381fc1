// What a pod's TEE is given at launch, by way of coffer-launch (cli/launch/launch.h): unpacking
// what strangers packed, hashing and measuring are not the shim's, which lives as long as the pod.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "shim/config/config.h"
#include "shim/qemu/command_line.h"

namespace coffer::shim {

// The disk's id and serial, and the fw_cfg item with the guest that an emulated TEE plays.
inline constexpr std::string_view kInitdataDisk = "initdata";
inline constexpr std::string_view kEmulatedGuestItem = "opt/org.coffer/tee";
// Of a software TPM: the fw_cfg item with its attestation key's certificate; and the names of its
// state's folder and of that certificate's file in the sandbox's folder.
inline constexpr std::string_view kAkCertificateItem = "opt/org.coffer/tpm-ak-certificate";
inline constexpr std::string_view kTpmState = "tpm";
inline constexpr std::string_view kAkCertificate = "tpm-ak-certificate.der";

// Whether coffer-launch makes this class's guest or TPM, and measures its launch.
[[nodiscard]] bool is_emulated_launch(Tee tee, const HypervisorConfig& config);

struct LaunchRequest {
  LaunchRequest() = default;  // no aggregate: gcc 12 miscompiles one within a co_await expression

  Tee tee = Tee::kNone;
  std::string initdata;          // as the annotation has it; empty: none
  std::filesystem::path folder;  // for the files that QEMU opens
};

// Completes `spec`, of which boot files, command line and size count already: initdata disk, host
// data, fw_cfg. kInvalidArgument with the helper's words when the initdata is wrong.
[[nodiscard]] Task<Status> prepare_launch(std::filesystem::path helper, LaunchRequest request,
                                          const HypervisorConfig& config, VmSpec& spec);

}  // namespace coffer::shim
