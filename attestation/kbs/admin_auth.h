// Who may administer: whoever signs with a key that the configuration names. Without any, nobody.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attestation/jose/key.h"
#include "base/error.h"

namespace coffer::kbs {

inline constexpr std::string_view kAdminAudience = "KBS";
inline constexpr std::string_view kAdminRole = "admin";

class AdminAuth {
 public:
  // Ed25519, EC P-256 or P-384, RSA.
  explicit AdminAuth(std::vector<jose::PublicKey> keys) : keys_(std::move(keys)) {}

  // The administrator's name (`sub`). The JWT must be signed by one of the keys and have `exp`,
  // `role` "admin" and "KBS" in `aud`; kUnauthenticated says which of them failed.
  [[nodiscard]] Result<std::string> check(std::string_view token, std::int64_t now) const;

 private:
  std::vector<jose::PublicKey> keys_;
};

// A token for a few minutes, as `coffer kbs` makes one for each command.
[[nodiscard]] Result<std::string> make_admin_token(const jose::PrivateKey& key,
                                                   std::string_view name, std::int64_t now,
                                                   std::int64_t lifetime = 300);

}  // namespace coffer::kbs
