// What the guest's APIs (REST here, ttrpc) have to offer, whoever does it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "attestation/protocol/resource_path.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"

namespace coffer::guest_api {

// An event to be measured at run time: "DOMAIN OPERATION CONTENT", without line breaks, the first
// two without blanks.
struct RuntimeEvent {
  std::string domain, operation, content;
  std::optional<std::uint64_t> register_index;
};
// kInvalidArgument for a blank or a line break where there may be none.
[[nodiscard]] Status check_event(const RuntimeEvent& event);

// Of what evidence can bind as it is.
inline constexpr std::size_t kMaxRuntimeData = 64;
[[nodiscard]] Status check_runtime_data(BytesView data);

// Arguments are owned: a coroutine outlives its caller's temporaries.
class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual Task<Result<SecretBytes>> resource(protocol::ResourceUri uri) = 0;
  // What a sealed secret holds (sealed_secret.h).
  [[nodiscard]] virtual Task<Result<SecretBytes>> unseal(std::string sealed) = 0;
  // `type` "kbs": JSON {"token", "tee_keypair": PEM}.
  [[nodiscard]] virtual Task<Result<SecretBytes>> token(std::string type) = 0;
  // Evidence JSON that binds `runtime_data`, 1 to 64 bytes, as they are.
  [[nodiscard]] virtual Task<Result<std::string>> evidence(Bytes runtime_data) = 0;
  [[nodiscard]] virtual Task<Status> extend(RuntimeEvent event) = 0;
  // "snp", ...
  [[nodiscard]] virtual std::string tee() const = 0;
};

}  // namespace coffer::guest_api
