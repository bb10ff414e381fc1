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

}  // namespace

Result<AaConfig> parse_aa_config(std::string_view text) {
  COFFER_TRY(const toml::table table, parse_toml(text, "aa.toml"));
  AaConfig out;
  const auto kbs = table["token_configs"]["kbs"];
  COFFER_TRY_VOID(take_text(kbs["url"].node(), "token_configs.kbs.url", out.url));
  COFFER_TRY_VOID(take_text(kbs["cert"].node(), "token_configs.kbs.cert", out.cert));
  if (const auto* required = table["attestation"]["required"].node(); required != nullptr) {
    if (!required->is_boolean()) return bad("attestation.required", "true or false");
    out.required = required->as_boolean()->get();
  }
  return out;
}

}  // namespace coffer::attester
