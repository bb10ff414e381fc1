// `coffer-kbs init`: everything that a new broker needs, in one folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace coffer::kbs {

struct InitSettings {
  std::filesystem::path folder;
  std::vector<std::string> names = {"localhost", "127.0.0.1"};  // of the TLS certificate
  std::string socket = "127.0.0.1:8080";
  std::string store;  // empty: SQLite in the folder
};

// Makes admin.key and admin.pub.pem (Ed25519), tls.key and tls.pem (self-signed, EC P-256),
// token.key (EC P-256; with a store that several servers share, the key lies there instead) and
// coffer-kbs.toml. kAlreadyExists when one of them is there: nothing is
// ever overwritten.
[[nodiscard]] Status init(const InitSettings& settings);

struct TlsIdentity {
  std::string certificate_pem, key_pem;
};
// Self-signed, for these DNS names and IP addresses, ten years from now.
[[nodiscard]] Result<TlsIdentity> make_tls_identity(const std::vector<std::string>& names);

}  // namespace coffer::kbs
