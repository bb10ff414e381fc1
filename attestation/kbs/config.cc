#include "base/toml.h"
// toml.h comes first: it sets toml++'s macros.
#include <fmt/format.h>

#include <map>
#include <variant>

#include "attestation/kbs/config.h"
#include "base/fd.h"
#include "base/log.h"

namespace coffer::kbs {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxConfig = std::size_t{1} << 20U;

struct Number {
  std::int64_t* target;
  std::int64_t min, max;
};
struct Path {
  std::string* target;
};
struct Paths {
  std::vector<std::string>* target;
};
using Target = std::variant<bool*, std::string*, std::vector<std::string>*, Number, Path, Paths>;

// "section.key" to where it goes.
std::map<std::string, Target> schema(Config& c) {
  return {
      {"http_server.sockets", &c.sockets},
      {"http_server.insecure_http", &c.insecure_http},
      {"http_server.certificate", Path{&c.certificate}},
      {"http_server.private_key", Path{&c.private_key}},
      {"http_server.payload_request_size", Number{&c.payload_request_size, 1, 64}},
      {"http_server.worker_count", Number{&c.worker_count, 0, 1024}},
      {"http_server.handshake_timeout", Number{&c.handshake_timeout, 1, 3600}},
      {"http_server.header_timeout", Number{&c.header_timeout, 1, 3600}},
      {"http_server.request_timeout", Number{&c.request_timeout, 1, 3600}},
      {"http_server.idle_timeout", Number{&c.idle_timeout, 1, 3600}},
      {"http_server.max_connections", Number{&c.max_connections, 1, 1000000}},
      {"http_server.max_connections_per_address",
       Number{&c.max_connections_per_address, 0, 1000000}},
      {"http_server.body_memory", Number{&c.body_memory, 1, 65536}},
      {"admin.public_keys", Paths{&c.admin_public_keys}},
      {"storage.store", &c.store},
      {"storage.connections", Number{&c.connections, 0, 1000}},
      {"attestation_token.signer_key", Path{&c.signer_key}},
      {"attestation_token.issuer", &c.issuer},
      {"attestation_token.lifetime", Number{&c.token_lifetime, 10, 86400}},
      {"attestation_service.challenge_lifetime", Number{&c.challenge_lifetime, 10, 3600}},
      {"attestation_service.policy_id", &c.policy_id},
      {"attestation_service.grpc_socket", &c.grpc_socket},
      {"attestation_service.record_days", Number{&c.record_days, 1, 3650}},
      {"attestation_service.require_affirming", &c.require_affirming},
      {"attestation_service.record_limit", Number{&c.record_limit, 10, 10000000}},
      {"attestation_service.session_limit", Number{&c.session_limit, 1, 10000000}},
      {"reference_values.trusted_keys", Paths{&c.value_keys}},
      {"reference_values.require_signature", &c.require_value_signature},
      {"verifier.allow_sample", &c.allow_sample},
      {"verifier.snp_require_crl", &c.snp_require_crl},
      {"verifier.snp_roots", Paths{&c.snp_roots}},
      {"verifier.snp_certificates", Paths{&c.snp_certificates}},
      {"verifier.tpm_roots", Paths{&c.tpm_roots}},
      {"verifier.tdx_roots", Paths{&c.tdx_roots}},
      {"verifier.tdx_collateral_dirs", Paths{&c.tdx_collateral_dirs}},
      {"verifier.snp_kds_url", &c.snp_kds_url},
      {"verifier.tdx_pcs_url", &c.tdx_pcs_url},
      {"verifier.fetch_ca", Path{&c.fetch_ca}},
      {"log.level", &c.log_level},
  };
}

class Reader {
 public:
  Reader(Config& config, std::string_view name, const fs::path& folder)
      : schema_(schema(config)), name_(name), folder_(folder) {}

  Status read(const toml::table& table) {
    for (const auto& [section, node] : table) {
      const auto* inner = node.as_table();
      if (inner == nullptr) return refuse(node, section.str(), "want a section [...]");
      for (const auto& [key, value] : *inner) {
        const std::string name = fmt::format("{}.{}", section.str(), key.str());
        const auto target = schema_.find(name);
        if (target == schema_.end()) return refuse(value, name, "there is no such key");
        COFFER_TRY_VOID(
            std::visit([&](auto place) { return set(name, value, place); }, target->second));
      }
    }
    return {};
  }

 private:
  Status refuse(const toml::node& node, std::string_view key, std::string_view why) const {
    return fail(Code::kInvalidArgument,
                fmt::format("{}:{}: '{}': {}", name_, node.source().begin.line, key, why));
  }

  Status set(const std::string& name, const toml::node& node, bool* target) {
    if (!node.is_boolean()) return refuse(node, name, "want true or false");
    *target = node.as_boolean()->get();
    return {};
  }
  Status set(const std::string& name, const toml::node& node, std::string* target) {
    if (!node.is_string()) return refuse(node, name, "want a text");
    *target = node.as_string()->get();
    return {};
  }
  Status set(const std::string& name, const toml::node& node, std::vector<std::string>* target) {
    const auto* list = node.as_array();
    if (list == nullptr) return refuse(node, name, "want a list of texts");
    target->clear();
    for (const auto& item : *list) {
      if (!item.is_string()) return refuse(node, name, "want a list of texts");
      target->push_back(item.as_string()->get());
    }
    return {};
  }
  Status set(const std::string& name, const toml::node& node, Number number) {
    if (!node.is_integer()) return refuse(node, name, "want a whole number");
    const std::int64_t value = node.as_integer()->get();
    if (value < number.min || value > number.max) {
      return refuse(node, name,
                    fmt::format("want {} to {}, got {}", number.min, number.max, value));
    }
    *number.target = value;
    return {};
  }
  Status set(const std::string& name, const toml::node& node, Path path) {
    COFFER_TRY_VOID(set(name, node, path.target));
    if (!path.target->empty()) *path.target = folder_ / *path.target;
    return {};
  }
  Status set(const std::string& name, const toml::node& node, Paths paths) {
    COFFER_TRY_VOID(set(name, node, paths.target));
    for (auto& path : *paths.target) path = folder_ / path;
    return {};
  }

  std::map<std::string, Target> schema_;
  std::string_view name_;
  const fs::path& folder_;
};

Status check_whole(const Config& config, std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("{}: {}", name, why));
  };
  if (config.sockets.empty()) return refuse("http_server.sockets is empty");
  const bool tls = !config.certificate.empty() && !config.private_key.empty();
  if (!tls && !config.insecure_http) {
    return refuse(
        "http_server.certificate and private_key are needed (or insecure_http = true, "
        "behind something that does TLS)");
  }
  if (tls && config.insecure_http) {
    return refuse("http_server.insecure_http and a certificate: which of them?");
  }
  if (config.body_memory < config.payload_request_size) {
    return refuse("http_server.body_memory is less than payload_request_size: no body would fit");
  }
  for (const auto* url : {&config.snp_kds_url, &config.tdx_pcs_url}) {
    if (url->empty() || url->starts_with("https://") || url->starts_with("http://")) continue;
    return refuse(fmt::format("verifier: '{}' is no http or https URL", *url));
  }
  if (config.require_value_signature && config.value_keys.empty()) {
    return refuse("reference_values.require_signature without trusted_keys: no value could be set");
  }
  COFFER_TRY([[maybe_unused]] const LogLevel level, parse_log_level(config.log_level));
  return {};
}

// A file beside the configuration, as all paths.
void place_store(Config& config, const fs::path& folder) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (!config.store.starts_with(kSqlite)) return;
  config.store =
      fmt::format("{}{}", kSqlite, (folder / config.store.substr(kSqlite.size())).string());
}

}  // namespace

Result<Config> parse_config(std::string_view text, std::string_view name, const fs::path& folder) {
  COFFER_TRY(const toml::table table, parse_toml(text, name));
  Config config;
  COFFER_TRY_VOID(Reader(config, name, folder).read(table));
  place_store(config, folder);
  COFFER_TRY_VOID(check_whole(config, name));
  return config;
}

Result<Config> load_config(const fs::path& file) {
  COFFER_TRY(const std::string text, read_file(file, kMaxConfig));
  return parse_config(text, file.string(), fs::absolute(file).parent_path());
}

}  // namespace coffer::kbs
