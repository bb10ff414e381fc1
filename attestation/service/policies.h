// Policies in Rego, kept in the store, and what they say.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/reference_values/value_set.h"
#include "attestation/store/store.h"
#include "base/error.h"

namespace coffer::appraisal {

inline constexpr std::size_t kMaxPolicyBytes = std::size_t{1} << 20U;

// A reference value that a policy asked for, and what it got.
struct Query {
  std::string name;
  std::string finding;  // "found", "missing", "expired", "not yet valid"
  std::string value;    // JSON text; empty unless found
  // Of an appraisal that does not affirm. Claims of the evidence that were compared with the value,
  // or would have been had there been one, and are not it (JSON texts, some of many); and the
  // policy's rules in which it was asked for, such as "executables".
  std::vector<std::string> unmatched = {};
  std::set<std::string, std::less<>> asked_by = {};
};

struct Appraisal {
  // All eight members of AR4SI's vector, 0 where the policy says nothing.
  std::map<std::string, int> vector;
  std::string status;  // "none", "affirming", "warning", "contraindicated"
  std::map<std::string, std::string> extensions;  // name to JSON text
  std::vector<Query> queries;
  // What the policy did that it should not have: an unknown member, a value out of range.
  std::vector<std::string> findings;
};

struct ResourceDecision {
  bool allowed = false;
  std::string reason;  // why not: the condition that did not hold
};

// AR4SI's tiers over the whole vector, the worst one.
[[nodiscard]] std::string status_of(const std::map<std::string, int>& vector);

// A member of the vector that warns or contradicts.
[[nodiscard]] bool falls_short(int value);

// "cpu0 is warning (executables)": a part's status, and the claims of the vector that do not
// affirm. Fit for a guest: no value stands in it.
[[nodiscard]] std::string describe_status(std::string_view part, std::string_view status,
                                          const std::map<std::string, int>& vector);

// Thread-safe. Each thread keeps the policies that it has compiled.
class Policies {
 public:
  // Both must outlive it.
  Policies(store::Store& store, rv::ValueSet& values);
  ~Policies();
  Policies(const Policies&) = delete;
  Policies& operator=(const Policies&) = delete;

  // Puts the defaults where there are none yet.
  [[nodiscard]] Status install_defaults();
  // Whether the store's appraisal policy "default" is the one that this version would put there.
  [[nodiscard]] Result<bool> default_is_built_in();
  // kInvalidArgument, with the compiler's message, when it does not compile or has not the rule
  // that is read. `id`: [A-Za-z0-9_-]+; an id without a class is "cpu"'s.
  [[nodiscard]] Status set_attestation_policy(std::string_view id, const std::string& rego);
  [[nodiscard]] Status set_resource_policy(const std::string& rego);
  [[nodiscard]] Result<std::string> resource_policy();
  // "default_cpu", ...
  [[nodiscard]] Result<std::vector<std::string>> attestation_policies();
  // kNotFound when there is none of that id.
  [[nodiscard]] Result<std::string> attestation_policy(std::string_view id);

  // `input` as Trustee gives it, a JSON text: {TEE: claims, "report_data", "init_data", ...}.
  [[nodiscard]] Result<Appraisal> appraise(std::string_view id, std::string_view tee_class,
                                           std::string_view input, tee::UnixTime time);
  // `claims`: of the token. `path`: the segments after the plugin's name.
  [[nodiscard]] Result<ResourceDecision> decide(const nlohmann::json& claims,
                                                std::string_view plugin,
                                                const std::vector<std::string>& path,
                                                const std::map<std::string, std::string>& query);

 private:
  struct Compiled;
  [[nodiscard]] Result<Compiled*> compiled(std::string_view space, const std::string& key);
  [[nodiscard]] static Result<std::unique_ptr<Compiled>> compile(const std::string& name,
                                                                 const std::string& rego);

  store::Store& store_;
  rv::ValueSet& values_;
  const std::uint64_t serial_;  // tells the threads' compiled policies of one object from another's
};

}  // namespace coffer::appraisal
