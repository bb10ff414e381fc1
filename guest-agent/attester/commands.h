// What the agent asks of coffer-attester. Both print for it on stdout; errors are one line.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::attester {

struct GuestTee {
  std::string name;                  // "snp", "tdx", "tpm", "sample", or "none"
  std::filesystem::path root = "/";  // where the kernel's interfaces are looked for
};

struct InitdataSettings {
  GuestTee tee;
  std::filesystem::path device;  // empty: no disk came
  std::filesystem::path out;     // the folder for initdata.toml and its entries
};

// Reads, unpacks and hashes the disk, checks the digest against the hardware, and only then writes
// files. Returns a JSON object: {"digest": HEX, "bound": bool, "kbs": URL, "required": bool |
// null, "warnings": [TEXT]}.
[[nodiscard]] Result<std::string> take_initdata(const InitdataSettings& settings);

struct ServeSettings {
  GuestTee tee;
  std::filesystem::path folder;  // as take_initdata() wrote it
  // Which APIs are served, and what by REST: as the agent's settings guest_components_procs and
  // guest_components_rest_api.
  std::string components = "api-server-rest";
  std::string rest_api = "resource";
  int gate_fd = -1;  // where the agent's policy is asked (guest_api_gate.proto); -1: nowhere, and
                     // nothing is given
  int port = 8006;   // of the REST API, on 127.0.0.1
  std::filesystem::path sockets = "/run/confidential-containers";
  int status_fd = 1;  // "attested\n" goes there once it is so
};

// Attests, says so, and serves the guest's APIs for good. Returns when it cannot attest, cannot
// fetch a credential that cdh.toml names, or cannot serve.
[[nodiscard]] Status serve(const ServeSettings& settings);

}  // namespace coffer::attester
