#include "cli/policy_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.h"
#include "policy/agent/request_defaults.h"
#include "policy/value/json.h"

namespace coffer::cli {
namespace {

using policy::Value;

std::string text_of(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

Value member(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found == nullptr ? Value() : *found;
}

}  // namespace

Result<PolicyRecord> read_record(const Value& object, std::string_view where) {
  if (!object.is_object())
    return fail(Code::kInvalidArgument, fmt::format("read {}: a record must be an object", where));
  PolicyRecord out;
  out.description = text_of(object, "description");
  out.allowed = member(object, "allowed");
  out.entry_point = text_of(object, "ep");
  out.input = member(object, "input");
  if (out.entry_point.empty()) out.entry_point = text_of(object, "kind");
  if (const Value* request = object.find("request"); out.input.is_undefined() && request) {
    COFFER_TRY(out.input, policy::complete_request(out.entry_point, *request, &out.left_out));
  } else {
    out.state = member(object, "state");
    out.want = member(object, "want");
  }
  if (out.entry_point.empty() || out.input.is_undefined())
    return fail(
        Code::kInvalidArgument,
        fmt::format("read {}: a record needs 'ep' and 'input' (or 'kind' and 'request')", where));
  return out;
}

Result<std::vector<PolicyRecord>> read_records(const std::string& path) {
  COFFER_TRY(const std::string content, read_file(path));
  std::vector<PolicyRecord> out;
  if (const auto whole = policy::parse_json(content, path); whole && whole->is_array()) {
    for (std::size_t i = 0; i < whole->size(); ++i) {
      COFFER_TRY(auto record, read_record(whole->items()[i], fmt::format("{}[{}]", path, i)));
      out.push_back(std::move(record));
    }
    return out;
  }
  std::string_view rest = content;
  std::size_t line = 0;
  while (!rest.empty()) {
    ++line;
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", path, line);
    COFFER_TRY(const Value object, policy::parse_json(text, where));
    COFFER_TRY(auto record, read_record(object, where));
    out.push_back(std::move(record));
  }
  return out;
}

Result<std::vector<std::string>> record_files(const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(name, error)) return std::vector{name};
  std::vector<std::string> out;
  for (auto it = fs::recursive_directory_iterator(name, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error))
    if (it->path().filename() == "testcases.json") out.push_back(it->path().string());
  if (error)
    return fail(Code::kInvalidArgument, fmt::format("read folder '{}': {}", name, error.message()));
  if (out.empty())
    return fail(Code::kNotFound,
                fmt::format("read folder '{}': no testcases.json in it or below", name));
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace coffer::cli
