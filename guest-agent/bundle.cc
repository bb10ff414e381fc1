#include "guest-agent/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "guest-agent/namespaces.h"

namespace coffer::agent {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// Or equal.
bool is_below(const fs::path& outer, const fs::path& path) {
  return std::ranges::mismatch(outer, path).in1 == outer.end();
}

}  // namespace

Status check_root(const fs::path& base, const std::string& id, const std::string& path,
                  bool pulled) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("read root path '{}': {}", path, why));
  };
  const fs::path root(path);
  if (!root.is_absolute() || !root.has_filename() || root.lexically_normal().native() != path)
    return refuse("want an absolute path without '.', '..' and empty parts");
  const auto own = base / id / "rootfs";
  if (pulled && root != own) return refuse(fmt::format("the image is in '{}'", own.native()));
  if (is_below(root, base)) return refuse("the agent's own files are in it");
  if (is_below(base, root) && !is_below(base / "shared", root) && root != own)
    return refuse(fmt::format("it is not container '{}''s", id));
  std::error_code error;
  const auto real = fs::canonical(root, error);
  if (error) return fail_errno(error.value(), fmt::format("look for root '{}'", path));
  if (real.native() != path) return refuse("a link leads elsewhere");
  return {};
}

Status place_in_sandbox(json& config, const SandboxNamespaces& namespaces,
                        bool share_pid_namespace) {
  auto& spec = config["linux"];
  auto placed = json::array();
  bool has_mount = false;
  for (auto& one : spec["namespaces"]) {
    const auto type = one["type"].get<std::string>();
    if (type == "ipc" || type == "uts" || type == "pid" || type == "cgroup") continue;
    if (one.contains("path"))
      return fail(Code::kInvalidArgument,
                  fmt::format("read namespace '{}': a path is not allowed, got '{}'", type,
                              one["path"].get<std::string>()));
    has_mount = has_mount || type == "mount";
    placed.push_back(std::move(one));
  }
  if (!has_mount)
    return fail(Code::kInvalidArgument, "read namespaces: the spec has no mount namespace");
  placed.push_back({{"type", "ipc"}, {"path", namespaces.ipc_path()}});
  placed.push_back({{"type", "uts"}, {"path", namespaces.uts_path()}});
  placed.push_back({{"type", "cgroup"}});
  json pid{{"type", "pid"}};
  if (share_pid_namespace && !namespaces.pid_path().empty()) pid["path"] = namespaces.pid_path();
  placed.push_back(std::move(pid));
  spec["namespaces"] = std::move(placed);
  // The UTS namespace, and with it the name, is the sandbox's.
  config.erase("hostname");
  return {};
}

Status run_pause_image(json& config, const std::filesystem::path& pause_bundle) {
  constexpr std::size_t kMaxConfig = std::size_t{1} << 20U;
  const auto file = pause_bundle / "config.json";
  COFFER_TRY(const auto text, read_file(file, kMaxConfig));
  COFFER_TRY(const auto pause, parse_json(text, file.string()));
  const auto process = pause.find("process");
  if (process == pause.end() || !process->is_object() || !process->contains("args"))
    return fail(Code::kInternal,
                fmt::format("read '{}': it has no process with args", file.string()));
  for (const char* key : {"args", "env", "cwd", "user"})
    if (process->contains(key)) config["process"][key] = (*process)[key];
  return {};
}

}  // namespace coffer::agent
