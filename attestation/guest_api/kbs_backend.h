// The guest's services over a key broker client. The client blocks: it has a thread, on which one
// thing is done after another.
#pragma once

#include <memory>
#include <optional>

#include "attestation/client/kbs_client.h"
#include "attestation/guest_api/backend.h"
#include "attestation/guest_api/sealed_secret.h"

namespace coffer::guest_api {

// How secrets are got.
struct SecretRules {
  UnsealRules unseal = {};
  // Resources come from this broker, which trusts the other's tokens; unset: from the one that is
  // attested to.
  std::optional<client::KbsSettings> other_broker = {};
};

class KbsBackend final : public Backend {
 public:
  // `source` is also what GetEvidence asks; it and the backend are used from the thread alone.
  KbsBackend(client::KbsClient client, std::unique_ptr<client::EvidenceSource> source,
             SecretRules rules);
  KbsBackend(const KbsBackend&) = delete;
  KbsBackend& operator=(const KbsBackend&) = delete;
  // Waits for what is being done.
  ~KbsBackend() override;

  // A handshake now, so that its failure is known before it is needed.
  [[nodiscard]] Task<Result<std::string>> attest();

  [[nodiscard]] Task<Result<SecretBytes>> resource(protocol::ResourceUri uri) override;
  [[nodiscard]] Task<Result<SecretBytes>> unseal(std::string sealed) override;
  [[nodiscard]] Task<Result<SecretBytes>> token(std::string type) override;
  [[nodiscard]] Task<Result<std::string>> evidence(Bytes runtime_data) override;
  [[nodiscard]] Task<Status> extend(RuntimeEvent event) override;
  [[nodiscard]] std::string tee() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared: with the work on the thread
};

}  // namespace coffer::guest_api
