// Requests of the agent as people and tools write them down.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::cli {

struct PolicyRecord {
  std::string entry_point;
  std::string description;
  policy::Value input;
  policy::Value state;    // undefined: what the record before left
  policy::Value want;     // undefined: `allowed` decides
  policy::Value allowed;  // undefined: `want` decides
  // Keys of a case of genpolicy's form that the API does not have; left out, as genpolicy does.
  std::vector<std::string> left_out;
};

// Either {ep, input, state?, want?, allowed?}, the input whole, or a case of genpolicy's
// testcases.json: {kind, request, allowed, description}, of whose request any field may be left
// out, and whose other keys mean nothing. kInvalidArgument names `where`.
[[nodiscard]] Result<PolicyRecord> read_record(const policy::Value& object, std::string_view where);

// A list of records in JSON, or one a line.
[[nodiscard]] Result<std::vector<PolicyRecord>> read_records(const std::string& path);

// `name`, or when it is a folder, every testcases.json below it. kNotFound when there is none.
[[nodiscard]] Result<std::vector<std::string>> record_files(const std::string& name);

}  // namespace coffer::cli
