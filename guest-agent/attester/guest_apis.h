// What coffer-attester serves within the guest once it has attested: CoCo's three components, as
// far as the agent's settings ask for them, and the agent's policy before each request.
#pragma once

#include <filesystem>
#include <memory>

#include "attestation/guest_api/kbs_backend.h"
#include "attestation/guest_api/rest_server.h"
#include "attestation/guest_api/unix_server.h"
#include "base/error.h"
#include "base/loop.h"
#include "guest-agent/attester/commands.h"
#include "rpc/ttrpc/client.h"

namespace coffer::attester {

struct GuestApiSettings {
  bool attestation_agent = true;
  bool data_hub = true;
  bool rest = true;
  guest_api::Features features = {};  // of REST
  std::uint16_t port = 8006;
  std::filesystem::path agent_socket;
  std::filesystem::path hub_socket;
  Bytes initdata_digest;
  Fd gate;  // to the agent; without one nobody gets anything
};

// kInvalidArgument for a word that is none of agent.guest_components_procs, or of
// agent.guest_components_rest_api. Takes over the gate's descriptor.
[[nodiscard]] Result<GuestApiSettings> guest_api_settings(const ServeSettings& settings);

class GuestApis {
 public:
  // `backend` must outlive it.
  GuestApis(asio::any_io_executor executor, guest_api::Backend& backend, GuestApiSettings settings);
  GuestApis(const GuestApis&) = delete;
  GuestApis& operator=(const GuestApis&) = delete;
  ~GuestApis();

  [[nodiscard]] Status start();
  // Must be awaited before the destructor.
  Task<void> close();

 private:
  [[nodiscard]] guest_api::Authorize authorize() const;

  asio::any_io_executor executor_;
  guest_api::Backend& backend_;
  GuestApiSettings settings_;
  std::shared_ptr<rpc::Client> gate_;  // shared: with the questions that are under way
  std::unique_ptr<guest_api::UnixServer> agent_;
  std::unique_ptr<guest_api::UnixServer> hub_;
  std::unique_ptr<guest_api::RestServer> rest_;
};

}  // namespace coffer::attester
