// Sealed secrets: a signed reference to a secret, or the secret itself encrypted, in the place of a
// Kubernetes Secret's value. Only a guest that has attested can open one.
//
// "sealed." and a compact JWS (ES256) over JSON: CoCo's guest-components, "sealed secret" 0.1.0.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "attestation/protocol/resource_path.h"
#include "base/error.h"
#include "base/secret.h"

namespace coffer::guest_api {

using FetchResource = std::function<Result<SecretBytes>(const protocol::ResourceUri&)>;

struct UnsealRules {
  // The signature's key is a P-256 JWK: a resource of the broker when `kid` is a kbs:/// URI, else
  // a file of that name in this folder.
  std::filesystem::path key_folder = "/run/confidential-containers/cdh/sealed-secret";
  // The host could then put any reference in place of another. CoCo's
  // skip_sealed_secret_verification.
  bool skip_verification = false;
};

[[nodiscard]] bool is_sealed(std::string_view text);

// Type `vault` of provider `kbs`: the resource of that name. Type `envelope` of provider `kbs`
// (ours; CoCo has cloud KMSs only): `key_id` names a resource of 32 bytes, which opens
// `encrypted_key` (base64 of IV 12, ciphertext, tag 16; A256GCM), which opens `encrypted_data`
// (ciphertext, tag 16) with `iv`. kUnimplemented names other providers and wrap types;
// kUnauthenticated when the signature is wrong. `fetch` is only called with what has been verified,
// but for the signature's key.
[[nodiscard]] Result<SecretBytes> unseal(std::string_view text, const FetchResource& fetch,
                                         const UnsealRules& rules);

}  // namespace coffer::guest_api
