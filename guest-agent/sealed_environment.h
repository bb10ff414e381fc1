// Sealed values in a container's environment, opened before it starts.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"
#include "guest-agent/data_hub.h"

namespace grpc {
class Process;
}

namespace coffer::agent {

class SealedEnvironment {
 public:
  // Opens each "NAME=sealed...." of `process`. The error names the variable and the reason, never
  // the secret; so it does where the secret can be no variable's value.
  [[nodiscard]] Task<Status> open(const grpc::Process& process, const Unseal& unseal);

  // Puts the secrets in their places in an OCI process (the container's own, or one that is
  // executed in it later). A sealed value that open() did not see stays as it is.
  void reveal(nlohmann::json& process) const;
  // Wipes what reveal() put there.
  void conceal(nlohmann::json& process) const;
  // The text of `document` with the secrets revealed in `process`, which is it or a part of it, and
  // concealed again. Made in one buffer: a text that grows leaves parts of itself behind. Wipe it
  // after use. kInvalidArgument when it holds what is no UTF-8.
  [[nodiscard]] Result<std::string> revealed_text(const nlohmann::json& document,
                                                  nlohmann::json& process) const;

  [[nodiscard]] bool empty() const { return secrets_.empty(); }

 private:
  std::map<std::string, SecretBytes, std::less<>> secrets_;  // by sealed text
};

}  // namespace coffer::agent
