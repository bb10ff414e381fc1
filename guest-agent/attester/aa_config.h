// aa.toml: which key broker a guest attests to. Keys as those of CoCo's attestation agent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attestation/jose/key.h"
#include "base/error.h"

namespace coffer::attester {

struct AaConfig {
  std::string url;   // [token_configs.kbs] url; empty: no broker
  std::string cert;  // [token_configs.kbs] cert, PEM
  // [token_configs.kbs] tee_key_algorithm: of the key that secrets are encrypted to.
  jose::KeyType key_type = jose::KeyType::kEcP256;
  // Ours, [attestation] required: the tenant's own word on whether containers wait for a token.
  std::optional<bool> required;
};

// kInvalidArgument for what is no TOML, for a value of another type and for a tee_key_algorithm
// that is not one of CoCo's; kUnimplemented for ML-KEM. Other keys are passed over: they are of
// parts that Coffer has not.
[[nodiscard]] Result<AaConfig> parse_aa_config(std::string_view text);

}  // namespace coffer::attester
