// Who asks the guest's APIs for what, and the question whether he may have it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "attestation/guest_api/backend.h"

namespace coffer::guest_api {

struct Caller {
  std::uint16_t port = 0;  // of its end of a loopback connection; 0: it came by a Unix socket
  int pid = 0;             // who connected to the Unix socket
};

struct Access {
  Caller caller;
  std::string rule;        // the name of CoCo's request: "GetResourceRequest", ...
  std::string resource;    // GetResourceRequest: "kbs:///default/key/1"
  std::string token_type;  // GetTokenRequest
  RuntimeEvent event;      // ExtendRuntimeMeasurementRequest
};

// kPermissionDenied says why not; any other error: it could not be found out, so no.
using Authorize = std::function<Task<Status>(Access)>;

// The backend for one caller, which asks before each thing it gives.
class GuardedBackend final : public Backend {
 public:
  // Both must outlive it. An empty `authorize` lets nothing pass.
  GuardedBackend(Backend& backend, const Authorize& authorize, Caller caller)
      : backend_(backend), authorize_(authorize), caller_(caller) {}

  [[nodiscard]] Task<Result<SecretBytes>> resource(protocol::ResourceUri uri) override;
  [[nodiscard]] Task<Result<SecretBytes>> unseal(std::string sealed) override;
  [[nodiscard]] Task<Result<SecretBytes>> token(std::string type) override;
  [[nodiscard]] Task<Result<std::string>> evidence(Bytes runtime_data) override;
  [[nodiscard]] Task<Status> extend(RuntimeEvent event) override;
  [[nodiscard]] std::string tee() const override { return backend_.tee(); }

 private:
  [[nodiscard]] Access access(const char* rule) const;
  [[nodiscard]] Task<Status> ask(Access access);

  Backend& backend_;
  const Authorize& authorize_;
  Caller caller_;
};

}  // namespace coffer::guest_api
