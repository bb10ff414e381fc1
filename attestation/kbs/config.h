// coffer-kbs's configuration: TOML, every key explained in configs/kbs/coffer-kbs.toml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::kbs {

struct Config {
  // [http_server]
  std::vector<std::string> sockets = {"127.0.0.1:8080"};
  bool insecure_http = false;
  std::string certificate, private_key;   // PEM files
  std::int64_t payload_request_size = 8;  // MiB
  std::int64_t worker_count = 0;          // 0: as many as there are cores, at least 2
  std::int64_t handshake_timeout = 10;    // seconds, and so the next three
  std::int64_t header_timeout = 10;
  std::int64_t request_timeout = 30;
  std::int64_t idle_timeout = 30;
  std::int64_t max_connections = 4096;
  std::int64_t max_connections_per_address = 1024;
  std::int64_t body_memory = 256;  // MiB
  // [admin]
  std::vector<std::string> admin_public_keys;  // PEM files; none: nobody may administer
  // [storage]
  std::string store = "sqlite:coffer-kbs.db";
  std::int64_t connections = 0;  // 0: one a worker
  // [attestation_token]
  std::string signer_key;  // PEM file; empty: made in the store
  std::string issuer = "CoCo-Attestation-Service";
  std::int64_t token_lifetime = 300;  // seconds
  // [attestation_service]
  std::int64_t challenge_lifetime = 300;  // seconds
  std::string policy_id = "default";
  std::string grpc_socket;  // empty: not served
  std::int64_t record_days = 30;
  bool require_affirming = false;
  std::int64_t record_limit = 50000;
  std::int64_t session_limit = 20000;
  // [reference_values]
  std::vector<std::string> value_keys;  // PEM files
  bool require_value_signature = false;
  // [verifier]
  bool allow_sample = false;
  bool snp_require_crl = false;
  std::vector<std::string> snp_roots, snp_certificates;  // files, or folders of files
  std::vector<std::string> tdx_roots, tdx_collateral_dirs;
  std::vector<std::string> tpm_roots;
  std::string snp_kds_url, tdx_pcs_url;  // empty: nothing is fetched
  std::string fetch_ca;                  // PEM file; empty: the system's roots
  // [log]
  std::string log_level = "info";
};

// `folder`: what relative paths start from. kInvalidArgument names file, line and key of an unknown
// key, a wrong type, or a value out of range; so does a configuration that could not be served
// safely (no certificate and not insecure_http).
[[nodiscard]] Result<Config> parse_config(std::string_view text, std::string_view name,
                                          const std::filesystem::path& folder);
[[nodiscard]] Result<Config> load_config(const std::filesystem::path& file);

}  // namespace coffer::kbs
