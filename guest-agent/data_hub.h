// The confidential data hub, as the agent asks it: over its ttrpc Unix socket, a connection for
// each question. It is coffer-attester's; PID 1 speaks to no broker itself.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"

namespace coffer::agent {

struct DataHubSettings {
  std::filesystem::path socket = "/run/confidential-containers/cdh.sock";
  std::chrono::seconds timeout{50};  // agent.cdh_api_timeout
};

// What a sealed secret holds. Errors never tell the secret.
[[nodiscard]] Task<Result<SecretBytes>> ask_unseal(DataHubSettings settings, std::string sealed);

// The question, with the answerer left open.
using Unseal = std::function<Task<Result<SecretBytes>>(std::string sealed)>;

}  // namespace coffer::agent
