#include "attestation/service/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <unordered_map>

#include "attestation/service/default_policies.h"
#include "attestation/service/reference_book.h"
#include "base/json.h"
#include "policy/engine.h"
#include "policy/eval/explain.h"
#include "policy/value/json.h"
#include "policy/value/number.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;
using policy::Value;

constexpr std::string_view kAttestationSpace = "attestation_service_policy";
constexpr std::string_view kResourceSpace = "kbs";
constexpr std::string_view kResourceKey = "resource-policy.rego";
constexpr std::string_view kDefaultKey = "default_cpu.rego";
constexpr std::string_view kSuffix = ".rego";
constexpr std::string_view kTrustClaims = "data.policy.trust_claims";
constexpr std::string_view kExtensions = "data.policy.extensions";
constexpr std::string_view kAllow = "data.policy.allow";
// A token has four levels above an extension, and 64 at most.
constexpr std::size_t kMaxExtensionDepth = 60;
constexpr std::array<std::string_view, 8> kVector = {
    "instance-identity", "configuration",  "executables",    "file-system",
    "hardware",          "runtime-opaque", "storage-opaque", "sourced-data"};

// A policy is the admin's, its input a guest's.
policy::EvalOptions options() {
  policy::EvalOptions out;
  out.limits.max_steps = 20'000'000;
  out.limits.max_time = std::chrono::seconds(2);
  out.limits.max_memory = std::size_t{128} << 20U;
  return out;
}

Result<Value> to_value(const Json& json, std::string_view what) {
  return policy::parse_json(dump_json(json), what);
}

enum class Tier : std::uint8_t { kNone, kAffirming, kWarning, kContraindicated };

// draft-ietf-rats-ar4si, section 2.3.2.
Tier tier_of(int value) {
  if (value >= -1 && value <= 1) return Tier::kNone;
  if (value >= -32 && value <= 31) return Tier::kAffirming;
  return value >= -96 && value <= 95 ? Tier::kWarning : Tier::kContraindicated;
}

void read_vector(const Value& claims, Appraisal& out) {
  for (const auto name : kVector) out.vector.emplace(name, 0);
  if (!claims.is_object()) {
    out.findings.emplace_back("the policy has no object trust_claims");
    return;
  }
  for (const auto& [key, value] : claims.entries()) {
    const std::string name = policy::to_display(key);
    const auto number = value.is_number() ? policy::to_int64(value) : std::nullopt;
    if (!out.vector.contains(name)) {
      out.findings.push_back(fmt::format("trust_claims has '{}', which AR4SI has not", name));
    } else if (!number || *number < -128 || *number > 127) {
      out.findings.push_back(fmt::format("trust_claims['{}'] is {}, no integer of 8 bits", name,
                                         policy::to_display(value)));
      out.vector[name] = -1;  // verifier malfunction
    } else {
      out.vector[name] = static_cast<int>(*number);
    }
  }
}

// What the token says by itself: EAR's own claims, Veraison's, and ours. A relying party takes them
// for the service's word.
bool is_reserved(std::string_view name) {
  return name == "ear.status" || name == "ear.trustworthiness-vector" ||
         name == "ear.appraisal-policy-id" || name == "ear.raw-evidence" ||
         name == "ear.verifier-id" || name.starts_with("ear.veraison.") ||
         name.starts_with("ear.coffer.");
}

// Only additions: what is left out stands among the findings.
void read_extensions(const Value& list, Appraisal& out) {
  const auto leave_out = [&](std::string_view which, std::string_view why) {
    out.findings.push_back(fmt::format("extension {} is left out: {}", which, why));
  };
  if (!list.defined()) return;
  if (!list.is_array()) {
    out.findings.emplace_back("extensions is no array");
    return;
  }
  for (const Value& item : list.items()) {
    const Value* name = item.find("name");
    const Value* value = item.find("value");
    if (name == nullptr || value == nullptr || !name->is_string()) {
      leave_out(policy::to_display(item), "want an object with 'name', a string, and 'value'");
      continue;
    }
    const std::string key(name->as_string());
    const std::string shown = fmt::format("'{}'", key);
    if (!key.starts_with("ear.")) {
      leave_out(shown, "want a name that begins with 'ear.'");
    } else if (is_reserved(key)) {
      leave_out(shown, "the token says this by itself");
    } else if (out.extensions.contains(key)) {
      leave_out(shown, "there is one of that name already");
    } else {
      // What readers of the token would not take: a number too large, a key twice.
      std::string text = policy::to_json(*value);
      const auto read = parse_json(text, "an extension", {.max_depth = kMaxExtensionDepth});
      if (read) {
        out.extensions.emplace(key, std::move(text));
      } else {
        leave_out(shown, read.error().message());
      }
    }
  }
}

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// "default" is "default_cpu".
std::string with_class(std::string_view id) {
  for (const std::string_view known : {"_cpu", "_gpu", "_switch", "_ppcie", "_dcu"}) {
    if (id.ends_with(known)) return std::string(id);
  }
  return fmt::format("{}_cpu", id);
}

std::atomic<std::uint64_t> next_serial = 1;

}  // namespace

std::string status_of(const std::map<std::string, int>& vector) {
  Tier worst = Tier::kNone;
  for (const auto& [name, value] : vector) worst = std::max(worst, tier_of(value));
  switch (worst) {
    case Tier::kNone:
      return "none";
    case Tier::kAffirming:
      return "affirming";
    case Tier::kWarning:
      return "warning";
    case Tier::kContraindicated:
      break;
  }
  return "contraindicated";
}

bool falls_short(int value) { return tier_of(value) > Tier::kAffirming; }

std::string describe_status(std::string_view part, std::string_view status,
                            const std::map<std::string, int>& vector) {
  std::string names;
  for (const auto& [name, value] : vector) {
    if (!falls_short(value)) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  if (names.empty()) return fmt::format("{} is {}", part, status);
  return fmt::format("{} is {} ({})", part, status, names);
}

// A policy and its evaluator belong to the thread that compiled them.
struct Policies::Compiled {
  explicit Compiled(std::shared_ptr<policy::Policy> policy) : evaluator(std::move(policy)) {}
  policy::Evaluator evaluator;
  store::Version version = 0;
};

Policies::Policies(store::Store& store, rv::ValueSet& values)
    : store_(store), values_(values), serial_(next_serial++) {}
Policies::~Policies() = default;

Result<std::unique_ptr<Policies::Compiled>> Policies::compile(const std::string& name,
                                                              const std::string& rego) {
  if (rego.size() > kMaxPolicyBytes) {
    return fail(Code::kResourceExhausted, fmt::format("compile policy '{}': {} bytes, at most {}",
                                                      name, rego.size(), kMaxPolicyBytes));
  }
  policy::Engine engine({.host_functions = ReferenceBook::functions()});
  COFFER_TRY_VOID(engine.add_module(name, rego));
  COFFER_TRY(auto policy, engine.compile());
  return std::make_unique<Compiled>(std::move(policy));
}

Result<Policies::Compiled*> Policies::compiled(std::string_view space, const std::string& key) {
  thread_local std::unordered_map<std::string, std::unique_ptr<Compiled>> cache;
  const std::string name = fmt::format("{}/{}/{}", serial_, space, key);
  if (const auto known = cache.find(name); known != cache.end()) {
    COFFER_TRY(const auto version, store_.version(space, key));
    if (version == known->second->version) return known->second.get();
  }
  COFFER_TRY(const auto entry, store_.get(space, key));
  if (!entry) return fail(Code::kNotFound, fmt::format("find policy '{}': there is none", key));
  COFFER_TRY(auto compiled, compile(key, std::string(as_text(entry->value))));
  compiled->version = entry->version;
  auto& known = cache[name];
  known = std::move(compiled);
  return known.get();
}

Status Policies::install_defaults() {
  COFFER_TRY([[maybe_unused]] const bool cpu,
             store_.insert(kAttestationSpace, kDefaultKey, as_bytes(default_cpu_policy())));
  COFFER_TRY([[maybe_unused]] const bool resource,
             store_.insert(kResourceSpace, kResourceKey, as_bytes(default_resource_policy())));
  return {};
}

Result<bool> Policies::default_is_built_in() {
  COFFER_TRY(const auto entry, store_.get(kAttestationSpace, kDefaultKey));
  return entry && as_text(entry->value) == default_cpu_policy();
}

Status Policies::set_attestation_policy(std::string_view id, const std::string& rego) {
  if (!is_id(id)) {
    return fail(Code::kInvalidArgument, "set attestation policy: an id is [A-Za-z0-9_-]{1,128}");
  }
  const std::string name = with_class(id) + std::string(kSuffix);
  COFFER_TRY([[maybe_unused]] const auto compiled, compile(name, rego));
  return store_.put(kAttestationSpace, name, as_bytes(rego));
}

Status Policies::set_resource_policy(const std::string& rego) {
  COFFER_TRY([[maybe_unused]] const auto compiled, compile(std::string(kResourceKey), rego));
  return store_.put(kResourceSpace, kResourceKey, as_bytes(rego));
}

Result<std::string> Policies::resource_policy() {
  COFFER_TRY(const auto entry, store_.get(kResourceSpace, kResourceKey));
  if (!entry) return fail(Code::kNotFound, "find the resource policy: there is none");
  return std::string(as_text(entry->value));
}

Result<std::vector<std::string>> Policies::attestation_policies() {
  COFFER_TRY(const auto listed, store_.list(kAttestationSpace, "", "", 1000));
  std::vector<std::string> out;
  for (const auto& item : listed) {
    std::string_view name = item.key;
    if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
    out.emplace_back(name);
  }
  return out;
}

Result<std::string> Policies::attestation_policy(std::string_view id) {
  if (!is_id(id)) return fail(Code::kNotFound, "find attestation policy: no such id");
  COFFER_TRY(const auto entry,
             store_.get(kAttestationSpace, with_class(id) + std::string(kSuffix)));
  if (!entry) return fail(Code::kNotFound, fmt::format("find attestation policy '{}'", id));
  return std::string(as_text(entry->value));
}

Result<Appraisal> Policies::appraise(std::string_view id, std::string_view tee_class,
                                     std::string_view input, tee::UnixTime time) {
  if (!is_id(id)) return fail(Code::kInvalidArgument, "appraise: a policy id is [A-Za-z0-9_-]+");
  COFFER_TRY(Compiled* const policy,
             compiled(kAttestationSpace, fmt::format("{}_{}{}", id, tee_class, kSuffix)));
  COFFER_TRY(const auto values, values_.current());
  COFFER_TRY(const Value claims, policy::parse_json(input, "claims"));
  ReferenceBook book(*values, time);
  policy->evaluator.context().host = &book;
  auto vector = policy->evaluator.rule(kTrustClaims, Value::empty_object(), claims, options());
  auto extensions = policy->evaluator.rule(kExtensions, Value::empty_object(), claims, options());
  policy->evaluator.context().host = nullptr;
  COFFER_TRY(const Value trust, std::move(vector));
  Appraisal out;
  read_vector(trust, out);
  out.status = status_of(out.vector);
  if (extensions) {
    read_extensions(*extensions, out);
  } else {
    out.findings.push_back("extensions: " + extensions.error().to_string());
  }
  out.queries = book.queries();
  if (out.status == "affirming") return out;
  // Once more, watched: what was compared with what.
  ReferenceBook watched(*values, time);
  policy::EvalOptions traced = options();
  traced.tracer = &watched;
  policy->evaluator.context().host = &watched;
  const auto again = policy->evaluator.rule(kTrustClaims, Value::empty_object(), claims, traced);
  policy->evaluator.context().host = nullptr;
  if (again) watched.add_comparisons(out.queries);
  return out;
}

Result<ResourceDecision> Policies::decide(const Json& claims, std::string_view plugin,
                                          const std::vector<std::string>& path,
                                          const std::map<std::string, std::string>& query) {
  COFFER_TRY(Compiled* const policy, compiled(kResourceSpace, std::string(kResourceKey)));
  COFFER_TRY(const Value input, to_value(claims, "token claims"));
  const Json what = {{"plugin", plugin}, {"resource-path", path}, {"query", query}};
  COFFER_TRY(const Value data, to_value(what, "what is asked for"));
  COFFER_TRY(const Value answer, policy->evaluator.rule(kAllow, data, input, options()));
  ResourceDecision out;
  out.allowed = answer.is_true();
  if (out.allowed) return out;
  policy::Explainer explainer;
  policy::EvalOptions traced = options();
  traced.tracer = &explainer;
  COFFER_TRY([[maybe_unused]] const Value again,
             policy->evaluator.rule(kAllow, data, input, traced));
  out.reason = policy::format_explanation(explainer.explain(kAllow));
  return out;
}

}  // namespace coffer::appraisal
