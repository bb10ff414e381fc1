// The attestation service's port: gRPC over HTTP/2, with gRPC's own health service.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "attestation/kbs/attestation_api.h"

namespace coffer::kbs {

struct GrpcSettings {
  std::string socket;                            // "127.0.0.1:50004"; port 0: any
  std::string certificate_pem, private_key_pem;  // both empty: no TLS
  std::size_t max_message = std::size_t{8} << 20U;
  std::size_t threads = 2;                       // that evaluate; one more call is refused
  std::size_t memory = std::size_t{256} << 20U;  // of all messages
  // As those of ServerSettings.
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_address = 1024;
  std::function<void(std::string_view reason)> on_refused = nullptr;
};

class GrpcServer {
 public:
  // Listens and serves, on threads of its own, until it dies. `api` must outlive it. kUnavailable
  // when the address cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<GrpcServer>> start(const GrpcSettings& settings,
                                                                 AttestationApi& api);
  virtual ~GrpcServer() = default;
  // With the port that was chosen.
  [[nodiscard]] virtual std::string address() const = 0;
};

// "127.0.0.1:1", "[::1]:1", "localhost:1": reached from this machine only.
[[nodiscard]] bool is_loopback(std::string_view socket);

}  // namespace coffer::kbs
