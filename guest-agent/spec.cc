#include "guest-agent/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rpc/protos/oci.pb.h"

namespace coffer::agent {
namespace {

using nlohmann::json;

template <typename Repeated>
json string_list(const Repeated& strings) {
  auto list = json::array();
  for (const auto& text : strings) list.push_back(text);
  return list;
}

// "CAP_CHOWN", "CHOWN" and "\"CAP_CHOWN\"" are the same capability on this wire.
Result<std::string> capability_name(std::string_view wire) {
  if (wire.size() >= 2 && wire.front() == '"' && wire.back() == '"')
    wire = wire.substr(1, wire.size() - 2);
  if (wire.starts_with("CAP_")) wire.remove_prefix(4);
  const bool plain = std::ranges::all_of(
      wire, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
  if (wire.empty() || !plain)
    return fail(Code::kInvalidArgument, fmt::format("read capability '{}': not a name", wire));
  return fmt::format("CAP_{}", wire);
}

template <typename Repeated>
Result<json> capability_list(const Repeated& names) {
  auto list = json::array();
  for (const auto& name : names) {
    COFFER_TRY(auto known, capability_name(name));
    list.push_back(std::move(known));
  }
  return list;
}

Result<json> capabilities(const grpc::LinuxCapabilities& caps) {
  json out;
  COFFER_TRY(out["bounding"], capability_list(caps.bounding()));
  COFFER_TRY(out["effective"], capability_list(caps.effective()));
  COFFER_TRY(out["inheritable"], capability_list(caps.inheritable()));
  COFFER_TRY(out["permitted"], capability_list(caps.permitted()));
  COFFER_TRY(out["ambient"], capability_list(caps.ambient()));
  return out;
}

json user(const grpc::User& wire) {
  json out{{"uid", wire.uid()}, {"gid", wire.gid()}};
  if (wire.additionalgids_size() > 0) {
    auto gids = json::array();
    for (const auto gid : wire.additionalgids()) gids.push_back(gid);
    out["additionalGids"] = std::move(gids);
  }
  return out;
}

json rlimits(const grpc::Process& process) {
  auto list = json::array();
  for (const auto& limit : process.rlimits())
    list.push_back({{"type", limit.type()}, {"hard", limit.hard()}, {"soft", limit.soft()}});
  return list;
}

json environment(const grpc::Process& process) {
  auto list = json::array();
  for (const auto& entry : process.env())
    if (entry.find('=') != std::string::npos) list.push_back(entry);
  return list;
}

template <typename Repeated>
Result<json> hook_list(const Repeated& hooks) {
  auto list = json::array();
  for (const auto& hook : hooks) {
    if (!hook.path().starts_with('/'))
      return fail(Code::kInvalidArgument,
                  fmt::format("read hook '{}': want an absolute path", hook.path()));
    json out{{"path", hook.path()}};
    if (hook.args_size() > 0) out["args"] = string_list(hook.args());
    if (hook.env_size() > 0) out["env"] = string_list(hook.env());
    if (hook.timeout() > 0) out["timeout"] = hook.timeout();
    list.push_back(std::move(out));
  }
  return list;
}

// createRuntime hooks are the host's business: they never run in a guest.
Result<json> hooks(const grpc::Hooks& wire) {
  json out = json::object();
  COFFER_TRY(out["prestart"], hook_list(wire.prestart()));
  COFFER_TRY(out["createContainer"], hook_list(wire.createcontainer()));
  COFFER_TRY(out["startContainer"], hook_list(wire.startcontainer()));
  COFFER_TRY(out["poststart"], hook_list(wire.poststart()));
  COFFER_TRY(out["poststop"], hook_list(wire.poststop()));
  for (auto it = out.begin(); it != out.end();) it = it->empty() ? out.erase(it) : std::next(it);
  return out;
}

Result<json> mount(const grpc::Mount& wire) {
  if (!wire.destination().starts_with('/'))
    return fail(Code::kInvalidArgument,
                fmt::format("read mount destination '{}': not absolute", wire.destination()));
  json out{{"destination", wire.destination()}};
  const bool bind = std::ranges::any_of(
      wire.options(), [](const auto& option) { return option == "bind" || option == "rbind"; });
  if (bind && (wire.type().empty() || wire.type() == "none"))
    out["type"] = "bind";
  else if (!wire.type().empty())
    out["type"] = wire.type();
  if (!wire.source().empty()) out["source"] = wire.source();
  if (wire.options_size() > 0) out["options"] = string_list(wire.options());
  return out;
}

// crun takes orders through these; they would come from the host.
bool steers_the_runtime(std::string_view annotation) {
  return annotation.starts_with("run.oci.") || annotation.starts_with("module.wasm.");
}

Result<json> root(const grpc::Root& wire) {
  if (!wire.path().starts_with('/'))
    return fail(Code::kInvalidArgument,
                fmt::format("read root path '{}': want an absolute path", wire.path()));
  return json{{"path", wire.path()}, {"readonly", wire.readonly()}};
}

}  // namespace

Result<json> oci_process(const grpc::Process& process) {
  if (process.args_size() == 0)
    return fail(Code::kInvalidArgument, "read process: args is empty, want a program");
  if (!process.selinuxlabel().empty())
    return fail(Code::kUnimplemented,
                fmt::format("read process: SELinux label '{}': this guest has no SELinux (set "
                            "disable_guest_selinux = true)",
                            process.selinuxlabel()));
  json out{{"terminal", process.terminal()},
           {"user", user(process.user())},
           {"args", string_list(process.args())},
           {"env", environment(process)},
           {"cwd", process.cwd().empty() ? "/" : process.cwd()},
           {"noNewPrivileges", process.nonewprivileges()},
           // Always written: the agent's own score must not be inherited.
           {"oomScoreAdj", std::clamp<std::int64_t>(process.oomscoreadj(), -1000, 1000)}};
  if (process.terminal() && process.has_consolesize())
    out["consoleSize"] = {{"height", process.consolesize().height()},
                          {"width", process.consolesize().width()}};
  if (process.has_capabilities()) {
    COFFER_TRY(out["capabilities"], capabilities(process.capabilities()));
  }
  if (process.rlimits_size() > 0) out["rlimits"] = rlimits(process);
  return out;
}

Result<json> oci_spec(const grpc::Spec& spec) {
  if (!spec.has_process()) return fail(Code::kInvalidArgument, "read spec: Process is missing");
  if (!spec.has_root()) return fail(Code::kInvalidArgument, "read spec: Root is missing");
  json out{{"ociVersion", "1.0.2"}};
  COFFER_TRY(out["process"], oci_process(spec.process()));
  COFFER_TRY(out["root"], root(spec.root()));
  if (!spec.hostname().empty()) out["hostname"] = spec.hostname();
  auto mounts = json::array();
  for (const auto& wire : spec.mounts()) {
    COFFER_TRY(auto one, mount(wire));
    mounts.push_back(std::move(one));
  }
  out["mounts"] = std::move(mounts);
  if (spec.has_hooks()) {
    COFFER_TRY(out["hooks"], hooks(spec.hooks()));
  }
  auto annotations = json::object();
  for (const auto& [key, value] : spec.annotations())
    if (!steers_the_runtime(key)) annotations[key] = value;
  out["annotations"] = std::move(annotations);
  COFFER_TRY(out["linux"], oci_linux(spec.linux()));
  return out;
}

}  // namespace coffer::agent
