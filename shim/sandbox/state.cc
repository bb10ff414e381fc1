#include "shim/sandbox/state.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"

namespace coffer::shim {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json to_json(const ProcessIdentity& process) {
  return {{"pid", process.pid}, {"start_time", process.start_time}};
}

json to_json(const SandboxState& state) {
  json helpers = json::array();
  for (const ProcessIdentity& helper : state.helpers) helpers.push_back(to_json(helper));
  return {{"version", 1},
          {"sandbox_id", state.sandbox_id},
          {"shim", to_json(state.shim)},
          {"helpers", std::move(helpers)},
          {"network", state.network},
          {"created_netns", state.created_netns},
          {"cgroups", state.cgroups},
          {"directories", state.directories},
          {"socket", state.socket}};
}

ProcessIdentity process_from(const json& value) {
  return {.pid = value.at("pid").get<pid_t>(),
          .start_time = value.at("start_time").get<std::uint64_t>()};
}

SandboxState state_from(const json& value) {
  SandboxState state;
  state.sandbox_id = value.at("sandbox_id").get<std::string>();
  state.shim = process_from(value.at("shim"));
  for (const json& helper : value.at("helpers")) state.helpers.push_back(process_from(helper));
  state.network = value.at("network").get<std::string>();
  state.created_netns = value.at("created_netns").get<std::string>();
  state.cgroups = value.at("cgroups").get<std::vector<std::string>>();
  state.directories = value.at("directories").get<std::vector<std::string>>();
  state.socket = value.at("socket").get<std::string>();
  return state;
}

}  // namespace

fs::path state_file(const fs::path& root, std::string_view sandbox_id) {
  return root / sandbox_id / "state.json";
}

Status save_state(const fs::path& root, const SandboxState& state) {
  const fs::path file = state_file(root, state.sandbox_id);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (!error) fs::permissions(file.parent_path(), fs::perms::owner_all, error);
  if (error) {
    return fail_errno(error.value(), fmt::format("make '{}'", file.parent_path().native()));
  }
  return write_file_atomic(file, to_json(state).dump(2), 0600);
}

Result<SandboxState> parse_state(std::string_view text) {
  COFFER_TRY(const json document, parse_json(text, "state.json"));
  try {
    return state_from(document);
  } catch (const json::exception& error) {
    return fail(Code::kDataLoss, fmt::format("read 'state.json': {}", error.what()));
  }
}

Result<SandboxState> load_state(const fs::path& root, std::string_view sandbox_id) {
  COFFER_TRY(const std::string text,
             read_file(state_file(root, sandbox_id), std::size_t{1} << 20U));
  COFFER_TRY(SandboxState state, parse_state(text));
  if (state.sandbox_id != sandbox_id) {
    return fail(Code::kDataLoss, fmt::format("read the state of sandbox '{}': it names '{}'",
                                             sandbox_id, state.sandbox_id));
  }
  return state;
}

}  // namespace coffer::shim
