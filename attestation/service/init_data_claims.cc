#include "base/toml.h"
// toml.h comes first: it sets toml++'s macros.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "attestation/initdata/initdata.h"
#include "attestation/service/init_data_claims.h"
#include "base/json.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;

Json to_json(const toml::node& node, int depth) {
  if (depth > kMaxDepth) return nullptr;
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* table = node.as_table()) {
    Json out = Json::object();
    for (const auto& [key, item] : *table) out[std::string(key.str())] = to_json(item, depth + 1);
    return out;
  }
  if (const auto* array = node.as_array()) {
    Json out = Json::array();
    for (const auto& item : *array) out.push_back(to_json(item, depth + 1));
    return out;
  }
  return nullptr;  // a date
}

// Where the object that `text` starts with ends; npos when it does not.
std::size_t end_of_object(std::string_view text) {
  std::size_t open = 0;
  bool string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (string) {
      if (c == '\\') ++i;
      if (c == '"') string = false;
      continue;
    }
    if (c == '"') string = true;
    if (c == '{') ++open;
    if (c == '}' && --open == 0) return i + 1;
  }
  return std::string_view::npos;
}

// What genpolicy generates ends in `policy_data := {JSON}`.
Json policy_data(std::string_view rego) {
  constexpr std::string_view kHead = "policy_data := {";
  const std::size_t at = rego.find(kHead);
  if (at == std::string_view::npos) return nullptr;
  const std::string_view object = rego.substr(at + kHead.size() - 1);
  const std::size_t end = end_of_object(object);
  if (end == std::string_view::npos) return nullptr;
  auto parsed = parse_json(object.substr(0, end), "policy_data");
  return parsed ? *std::move(parsed) : Json();
}

}  // namespace

Result<Bytes> init_data_digest(std::string_view toml) {
  COFFER_TRY(const auto parsed, initdata::parse(toml));
  return initdata::digest(parsed.algorithm, toml);
}

Result<Json> init_data_claims(std::string_view toml) {
  COFFER_TRY(const auto parsed, initdata::parse(toml));
  Json out = Json::object();
  for (const auto& [name, text] : parsed.data) {
    if (name == initdata::kPolicyEntry) {
      if (Json claims = policy_data(text); !claims.is_null()) {
        out["agent_policy_claims"] = std::move(claims);
      }
      continue;
    }
    if (name == initdata::kAaEntry || name == initdata::kCdhEntry) {
      if (const auto table = parse_toml(text, name); table) {
        out[name] = to_json(*table, 0);
        continue;
      }
    }
    out[name] = text;
  }
  return out;
}

}  // namespace coffer::appraisal
