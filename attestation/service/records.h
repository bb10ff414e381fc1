// What remains of each attestation: what was checked, what was found, what was decided and why.
#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "attestation/store/store.h"
#include "tee/utc_time.h"

namespace coffer::appraisal {

// {"id", "time", "tee", "verified", "emulated", "outcome": "token" or "refused", "reason",
// "checks": [...], "parts": [{"name", "policy", "status", "vector", "reference_values": [{"name",
// "finding", "value"}], "missing_reference_values": [...], "findings"}], "resources": [{"time",
// "path", "allowed", "reason"}]}
using Record = nlohmann::json;

// A record before it is one. What is large or comes from elsewhere stands in it as JSON text, which
// is not taken apart again.
struct Draft {
  std::string id = {};
  tee::UnixTime time = 0;
  std::string tee = {};
  bool fresh = false;
  bool verified = false;
  bool emulated = false;
  bool token = false;  // the outcome; else it was refused
  std::string reason = {};
  std::string status = {};  // empty: it was not appraised
  std::string checks = "[]";
  std::string claims = {};  // empty: none are known
  std::string parts = "[]";
};

// Anybody who reaches the service leaves records: their number and sizes are bounded. Those of
// attestations that were refused, or that the policy does not affirm, lie in a namespace of their
// own, so that they can go first; and so do the decisions about their resources.
class Records {
 public:
  static constexpr std::size_t kDefaultLimit = 50000;

  // `store` must outlive it. Records go after `keep` seconds, or when there are more than `limit`
  // (at least 10): the oldest refused or not affirmed ones first, but a tenth of the limit is
  // theirs. The limit may be passed by a thirty-second of it, by each server.
  Records(store::Store& store, tee::UnixTime keep, std::size_t limit = kDefaultLimit)
      : store_(store), keep_(keep), limit_(limit) {}

  // Of the second and of chance: sorts by time.
  [[nodiscard]] static std::string new_id(tee::UnixTime now);

  // Under draft.id. A record that is too large loses its claims, or all but its reason, and says
  // so.
  [[nodiscard]] Status save(const Draft& draft, tee::UnixTime now);
  // In one transaction with `writes`. False: a condition of theirs did not hold, and nothing was
  // written.
  [[nodiscard]] Result<bool> save_with(const Draft& draft, tee::UnixTime now,
                                       std::vector<store::Write> writes);
  // One more entry of "resources". Of the same "path" and "allowed" the latest stays. An
  // attestation has about 128 that were allowed and 128 that were not; of those over it the latest
  // stays, with a "note" that says so. `affirmed`: the token's status is "affirming".
  [[nodiscard]] Status add_resource(std::string_view id, const nlohmann::json& decision,
                                    bool affirmed, tee::UnixTime now);
  // kNotFound when there is none of that id; kInvalidArgument when it is no id.
  [[nodiscard]] Result<Record> load(std::string_view id);
  // Newest first: {"id", "time", "tee", "outcome", "reason", "status"}.
  [[nodiscard]] Result<std::vector<nlohmann::json>> list(std::size_t limit);

 private:
  [[nodiscard]] Status enforce_limit();

  store::Store& store_;
  tee::UnixTime keep_;
  std::size_t limit_;
  std::atomic<std::size_t> saved_ = 0;
};

}  // namespace coffer::appraisal
