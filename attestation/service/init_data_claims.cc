#include "base/toml.h"
// toml.h comes first: it sets toml++'s macros.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "attestation/initdata/initdata.h"
#include "attestation/service/init_data_claims.h"
#include "base/json.h"
#include "policy/engine.h"
#include "policy/value/json.h"
#include "tee/digest.h"

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

// A policy's text is as a stranger wrote it, its evaluation is bounded.
policy::EvalOptions options() {
  policy::EvalOptions out;
  out.limits.max_steps = 1'000'000;
  out.limits.max_time = std::chrono::seconds(1);
  out.limits.max_memory = std::size_t{64} << 20U;
  return out;
}

Result<std::shared_ptr<policy::Policy>> compile(std::string_view rego,
                                                policy::RegoVersion version) {
  policy::Engine engine({.version = version});
  COFFER_TRY_VOID(engine.add_module("policy.rego", std::string(rego)));
  return engine.compile();
}

// JSON text; empty when there is none.
std::string evaluate_policy_data(std::string_view rego) {
  auto compiled = compile(rego, policy::RegoVersion::kV1);
  if (!compiled) compiled = compile(rego, policy::RegoVersion::kV0);
  if (!compiled) return {};
  policy::Evaluator evaluator(*std::move(compiled));
  const auto value = evaluator.rule("data.agent_policy.policy_data", policy::Value::empty_object(),
                                    policy::Value::empty_object(), options());
  return value && value->is_object() ? policy::to_json(*value) : std::string();
}

// What genpolicy generates has the rule `policy_data`, an object. It is asked of the policy and not
// looked for in its text, where a comment or a string could show another. A policy that does not
// compile has none: the agent refuses it too. Ours reads Rego v1, CoCo's v0 as well.
Json policy_data(std::string_view rego) {
  // The pods of a deployment have one policy, and to compile it takes milliseconds.
  constexpr std::size_t kKept = 4;
  constexpr std::size_t kMaxKeptBytes = std::size_t{256} << 10U;
  thread_local std::map<tee::Digest256, std::string> known;  // by the digest of the policy's text
  const auto digest = tee::sha256(as_bytes(rego));
  const auto at = known.find(digest);
  const std::string text = at != known.end() ? at->second : evaluate_policy_data(rego);
  if (at == known.end() && text.size() <= kMaxKeptBytes) {
    if (known.size() >= kKept) known.clear();
    known.emplace(digest, text);
  }
  if (text.empty()) return nullptr;
  auto parsed = parse_json(text, "policy_data");
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
