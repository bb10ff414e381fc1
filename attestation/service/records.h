// What remains of each attestation: what was checked, what was found, what was decided and why.
#pragma once

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

class Records {
 public:
  // `store` must outlive it. Records go after `keep` seconds.
  Records(store::Store& store, tee::UnixTime keep) : store_(store), keep_(keep) {}

  // Of the second and of chance: sorts by time.
  [[nodiscard]] static std::string new_id(tee::UnixTime now);

  [[nodiscard]] Status save(const std::string& id, const Record& record, tee::UnixTime now);
  // One more entry of "resources".
  [[nodiscard]] Status add_resource(std::string_view id, const nlohmann::json& decision,
                                    tee::UnixTime now);
  // kNotFound when there is none of that id; kInvalidArgument when it is no id.
  [[nodiscard]] Result<Record> load(std::string_view id);
  // Newest first: {"id", "time", "tee", "outcome", "reason", "status"}.
  [[nodiscard]] Result<std::vector<nlohmann::json>> list(std::size_t limit);

 private:
  store::Store& store_;
  tee::UnixTime keep_;
};

}  // namespace coffer::appraisal
