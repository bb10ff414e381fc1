// cdh.toml: how secrets are got. Keys as those of CoCo's confidential data hub.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/protocol/resource_path.h"
#include "base/error.h"

namespace coffer::attester {

// A resource that is fetched into a file before any container is made.
struct Credential {
  std::filesystem::path path;  // below /run/confidential-containers/cdh/kbs
  protocol::ResourceUri resource;
};

struct CdhConfig {
  std::string url;   // [kbc] url; empty: the broker that is attested to
  std::string cert;  // [kbc] kbs_cert, PEM
  std::vector<Credential> credentials;
  bool skip_sealed_secret_verification = false;
  // Of what is not heeded: keys that nobody knows, and what Coffer has not yet ([image]).
  std::vector<std::string> warnings;
};

// kInvalidArgument names the key and what it wants; kUnimplemented for [kbc] name "offline_fs_kbc".
[[nodiscard]] Result<CdhConfig> parse_cdh_config(std::string_view text);

}  // namespace coffer::attester
