// The agent's side of attestation: which TEE this guest has, the tenant's initdata, and whether
// containers may be made yet. What reads the host's bytes or speaks to the network is
// coffer-attester (guest-agent/attester/), in processes of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest-agent/data_hub.h"

namespace coffer::agent {

struct AttestationSettings {
  std::filesystem::path attester = "/usr/bin/coffer-attester";
  // Only in the image for development.
  std::filesystem::path emulator = "/usr/bin/coffer-tee-emulator";
  std::filesystem::path emulated_guest = "/sys/firmware/qemu_fw_cfg/by_name/opt/org.coffer/tee/raw";
  std::filesystem::path emulated_root = "/run/coffer-tee";
  std::filesystem::path folder = "/run/confidential-containers/initdata";
  std::filesystem::path dev = "/dev";
  bool required = false;  // agent.attestation_required
  // Which of the guest's APIs are served, and what by REST: agent.guest_components_procs,
  // agent.guest_components_rest_api.
  std::string components = "api-server-rest";
  std::string rest_api = "resource";
  DataHubSettings data_hub = {};
};

// Of Attestation::tee(): one that keeps the guest's memory from the host.
[[nodiscard]] constexpr bool is_encrypting_tee(std::string_view tee) {
  return tee == "snp" || tee == "tdx";
}

class Attestation {
 public:
  Attestation(AttestationSettings settings, Logger log);
  Attestation(const Attestation&) = delete;
  Attestation& operator=(const Attestation&) = delete;

  // Before anything is served. Finds the TEE (in the development image: starts the emulated one)
  // and takes the initdata; an error ends the guest: its hardware is bound to other initdata, or it
  // cannot be read.
  [[nodiscard]] Status prepare();

  // "snp", "tdx", "tpm", "sample" or "none".
  [[nodiscard]] const std::string& tee() const { return tee_; }
  // The tenant's policy, if the initdata has one.
  [[nodiscard]] std::optional<std::filesystem::path> policy_file() const;

  // Returns when containers may be made: at once where nothing is required, else when the key
  // broker has released a token. kFailedPrecondition says why not; the next call tries again.
  [[nodiscard]] Task<Status> ready_for_containers();

  // Whether this image can open sealed secrets at all.
  [[nodiscard]] bool can_unseal() const;
  // What a sealed secret holds. kFailedPrecondition: there is no key broker, or it has refused us.
  [[nodiscard]] Task<Result<SecretBytes>> unseal(std::string sealed);

  // Gets the agent's end of the connection on which coffer-attester asks, per request of a
  // container, whether the policy allows it. Without it nobody may ask for anything. `scope` owns
  // the watch on coffer-attester, which is started anew, with a new attestation, when it ends; it
  // must be closed before this object goes. Without it nobody watches.
  void serve_with(std::function<void(Fd)> serve_gate, Scope* scope) {
    serve_gate_ = std::move(serve_gate);
    scope_ = scope;
  }

 private:
  Status start_emulator();
  Status find_tee();
  Result<std::string> run_attester(const std::filesystem::path& device) const;
  Status take_summary(const std::string& summary);
  Task<Status> attest();
  Task<void> watch(Fd attester);

  AttestationSettings settings_;
  Logger log_;
  std::string tee_ = "none";
  std::filesystem::path root_ = "/";
  std::string broker_;
  std::function<void(Fd)> serve_gate_;
  std::string refusal_;  // why the last attempt failed
  bool attested_ = false;
  Scope* scope_ = nullptr;
  unsigned restarts_ = 0;
  std::optional<AsyncMutex> mutex_;
};

// The block device whose content begins with "initdata"; nothing when there is none. Only the first
// eight bytes of each disk are looked at.
[[nodiscard]] std::optional<std::filesystem::path> find_initdata_disk(
    const std::filesystem::path& dev);

}  // namespace coffer::agent
