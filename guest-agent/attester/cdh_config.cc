#include "guest-agent/attester/cdh_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/toml.h"

namespace coffer::attester {
namespace {

constexpr std::size_t kMaxCredentials = 64;
constexpr std::string_view kCredentialFolder = "/run/confidential-containers/cdh/kbs/";

std::unexpected<Error> bad(std::string_view key, std::string_view want) {
  return fail(Code::kInvalidArgument, fmt::format("cdh.toml: '{}': want {}", key, want));
}

Status take_text(const toml::node* node, std::string_view key, std::string& out) {
  if (node == nullptr) return {};
  if (!node->is_string()) return bad(key, "a text");
  out = node->as_string()->get();
  return {};
}

// The table of that name; null when there is none.
Result<const toml::table*> table_of(const toml::table& top, std::string_view key) {
  const toml::node* node = top.get(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) return bad(key, "a table");
  return node->as_table();
}

void warn_unknown(const toml::table& table, std::string_view prefix,
                  std::span<const std::string_view> known, CdhConfig& out) {
  for (const auto& [key, value] : table) {
    if (std::ranges::find(known, key.str()) == known.end())
      out.warnings.push_back(fmt::format("cdh.toml: '{}{}': no such key", prefix, key.str()));
  }
}

Status take_kbc(const toml::table& top, CdhConfig& out) {
  static constexpr std::array<std::string_view, 3> kKnown{"name", "url", "kbs_cert"};
  COFFER_TRY(const toml::table* kbc, table_of(top, "kbc"));
  if (kbc == nullptr) return {};
  std::string name = "cc_kbc";
  COFFER_TRY_VOID(take_text(kbc->get("name"), "kbc.name", name));
  COFFER_TRY_VOID(take_text(kbc->get("url"), "kbc.url", out.url));
  COFFER_TRY_VOID(take_text(kbc->get("kbs_cert"), "kbc.kbs_cert", out.cert));
  warn_unknown(*kbc, "kbc.", kKnown, out);
  if (name == "cc_kbc") return {};
  if (name != "offline_fs_kbc") return bad("kbc.name", "cc_kbc");
  return fail(
      Code::kUnimplemented,
      "cdh.toml: 'kbc.name': offline_fs_kbc, secrets in the image, is not supported; cc_kbc "
      "is");
}

Result<Credential> credential_of(const toml::node& node) {
  constexpr std::string_view kWant = "tables of path and resource_uri";
  const toml::table* table = node.as_table();
  if (table == nullptr) return bad("credentials", kWant);
  std::string path;
  std::string uri;
  COFFER_TRY_VOID(take_text(table->get("path"), "credentials.path", path));
  COFFER_TRY_VOID(take_text(table->get("resource_uri"), "credentials.resource_uri", uri));
  Credential out;
  out.path = path;
  const bool inside = path.starts_with(kCredentialFolder) && out.path.has_filename() &&
                      out.path.lexically_normal() == out.path &&
                      path.find('\0') == std::string::npos;
  if (!inside) return bad("credentials.path", fmt::format("a file below {}", kCredentialFolder));
  auto parsed = protocol::parse_resource_uri(uri);
  if (!parsed)
    return fail(std::move(parsed).error().with_context("cdh.toml: 'credentials.resource_uri'"));
  out.resource = *std::move(parsed);
  return out;
}

Status take_credentials(const toml::table& top, CdhConfig& out) {
  const toml::node* node = top.get("credentials");
  if (node == nullptr) return {};
  const toml::array* list = node->as_array();
  if (list == nullptr || list->size() > kMaxCredentials)
    return bad("credentials", fmt::format("a list of at most {}", kMaxCredentials));
  for (const toml::node& entry : *list) {
    COFFER_TRY(auto credential, credential_of(entry));
    out.credentials.push_back(std::move(credential));
  }
  return {};
}

// What a tenant counts on and does not get is said by name.
void warn_missing(const toml::table& top, CdhConfig& out) {
  if (const toml::table* image = top["image"].as_table(); image != nullptr) {
    for (const auto& [key, value] : *image)
      out.warnings.push_back(fmt::format(
          "cdh.toml: 'image.{}': not yet: this guest pulls no images and checks no signatures",
          key.str()));
  } else if (top.contains("image")) {
    out.warnings.emplace_back("cdh.toml: 'image': not yet: this guest pulls no images");
  }
  if (top.contains("socket") || top.contains("aa"))
    out.warnings.emplace_back("cdh.toml: 'socket', 'aa.aa_socket': the sockets' places are fixed");
}

}  // namespace

Result<CdhConfig> parse_cdh_config(std::string_view text) {
  static constexpr std::array<std::string_view, 7> kKnown{
      "socket", "aa", "kbc", "credentials", "skip_sealed_secret_verification", "image", "log"};
  COFFER_TRY(const toml::table top, parse_toml(text, "cdh.toml"));
  CdhConfig out;
  COFFER_TRY_VOID(take_kbc(top, out));
  COFFER_TRY_VOID(take_credentials(top, out));
  if (const auto* skip = top.get("skip_sealed_secret_verification"); skip != nullptr) {
    if (!skip->is_boolean()) return bad("skip_sealed_secret_verification", "true or false");
    out.skip_sealed_secret_verification = skip->as_boolean()->get();
  }
  warn_missing(top, out);
  warn_unknown(top, "", kKnown, out);
  return out;
}

}  // namespace coffer::attester
