#include "guest-agent/attester/aa_config.h"

#include <fmt/format.h>

#include "base/toml.h"

namespace coffer::attester {
namespace {

std::unexpected<Error> bad(std::string_view key, std::string_view want) {
  return fail(Code::kInvalidArgument, fmt::format("aa.toml: '{}': want {}", key, want));
}

Status take_text(const toml::node* node, std::string_view key, std::string& out) {
  if (node == nullptr) return {};
  if (!node->is_string()) return bad(key, "a text");
  out = node->as_string()->get();
  return {};
}

Status take_key_type(const toml::node* node, jose::KeyType& out) {
  constexpr std::string_view kKey = "token_configs.kbs.tee_key_algorithm";
  std::string name = "ECDH-ES+A256KW-P256";
  COFFER_TRY_VOID(take_text(node, kKey, name));
  if (name == "ECDH-ES+A256KW-P256") {
    out = jose::KeyType::kEcP256;
  } else if (name == "ECDH-ES+A256KW-P521") {
    out = jose::KeyType::kEcP521;
  } else if (name == "RSA-OAEP-256") {
    out = jose::KeyType::kRsa;
  } else if (name == "ML-KEM-768+A192KW") {
    return fail(Code::kUnimplemented,
                fmt::format("aa.toml: '{}': {} is not supported", kKey, name));
  } else {
    return bad(kKey, fmt::format("ECDH-ES+A256KW-P256, ECDH-ES+A256KW-P521 or RSA-OAEP-256, got "
                                 "'{}'",
                                 name));
  }
  return {};
}

}  // namespace

Result<AaConfig> parse_aa_config(std::string_view text) {
  COFFER_TRY(const toml::table table, parse_toml(text, "aa.toml"));
  AaConfig out;
  const auto kbs = table["token_configs"]["kbs"];
  COFFER_TRY_VOID(take_text(kbs["url"].node(), "token_configs.kbs.url", out.url));
  COFFER_TRY_VOID(take_text(kbs["cert"].node(), "token_configs.kbs.cert", out.cert));
  COFFER_TRY_VOID(take_key_type(kbs["tee_key_algorithm"].node(), out.key_type));
  if (const auto* required = table["attestation"]["required"].node(); required != nullptr) {
    if (!required->is_boolean()) return bad("attestation.required", "true or false");
    out.required = required->as_boolean()->get();
  }
  return out;
}

}  // namespace coffer::attester
