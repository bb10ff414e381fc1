#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "guest-agent/spec.h"
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

template <typename Number>
void put_if_set(json& out, const char* key, Number value) {
  if (value != Number{}) out[key] = value;
}

template <typename Repeated>
json id_mappings(const Repeated& mappings) {
  auto list = json::array();
  for (const auto& map : mappings)
    list.push_back(
        {{"hostID", map.hostid()}, {"containerID", map.containerid()}, {"size", map.size()}});
  return list;
}

// A rule's number below zero is a wildcard. Zero is one too where no number can be meant (a device
// has no major 0), but `5:0` with `allow` means /dev/tty and not every terminal.
json device_rule(const grpc::LinuxDeviceCgroup& wire) {
  json out{{"allow", wire.allow()}};
  if (!wire.type().empty()) out["type"] = wire.type();
  if (!wire.access().empty()) out["access"] = wire.access();
  if (wire.major() > 0) out["major"] = wire.major();
  if (wire.minor() > 0 || (wire.minor() == 0 && wire.major() > 0 && wire.allow()))
    out["minor"] = wire.minor();
  return out;
}

// Kernel, TCP and swappiness limits do not exist in cgroup v2, nor does turning the OOM killer off.
json memory(const grpc::LinuxMemory& wire) {
  json out = json::object();
  put_if_set(out, "limit", wire.limit());
  put_if_set(out, "reservation", wire.reservation());
  put_if_set(out, "swap", wire.swap());
  return out;
}

json cpu(const grpc::LinuxCPU& wire) {
  json out = json::object();
  put_if_set(out, "shares", wire.shares());
  put_if_set(out, "quota", wire.quota());
  put_if_set(out, "period", wire.period());
  if (!wire.cpus().empty()) out["cpus"] = wire.cpus();
  if (!wire.mems().empty()) out["mems"] = wire.mems();
  return out;
}

template <typename Repeated>
json throttles(const Repeated& devices) {
  auto list = json::array();
  for (const auto& one : devices)
    list.push_back({{"major", one.major()}, {"minor", one.minor()}, {"rate", one.rate()}});
  return list;
}

json block_io(const grpc::LinuxBlockIO& wire) {
  json out = json::object();
  put_if_set(out, "weight", wire.weight());
  if (wire.throttlereadbpsdevice_size() > 0)
    out["throttleReadBpsDevice"] = throttles(wire.throttlereadbpsdevice());
  if (wire.throttlewritebpsdevice_size() > 0)
    out["throttleWriteBpsDevice"] = throttles(wire.throttlewritebpsdevice());
  if (wire.throttlereadiopsdevice_size() > 0)
    out["throttleReadIOPSDevice"] = throttles(wire.throttlereadiopsdevice());
  if (wire.throttlewriteiopsdevice_size() > 0)
    out["throttleWriteIOPSDevice"] = throttles(wire.throttlewriteiopsdevice());
  return out;
}

Result<json> namespaces(const grpc::Linux& wire) {
  auto list = json::array();
  for (const auto& one : wire.namespaces()) {
    COFFER_TRY(auto type, oci_namespace_type(one.type()));
    json entry{{"type", std::move(type)}};
    if (!one.path().empty()) entry["path"] = one.path();
    list.push_back(std::move(entry));
  }
  return list;
}

Result<json> devices(const grpc::Linux& wire) {
  auto list = json::array();
  for (const auto& one : wire.devices()) {
    if (!one.path().starts_with("/dev/") || one.path().find("..") != std::string::npos)
      return fail(Code::kInvalidArgument,
                  fmt::format("read device '{}': want a path below /dev", one.path()));
    json entry{{"path", one.path()}, {"type", one.type()}, {"uid", one.uid()}, {"gid", one.gid()}};
    if (one.type() != "p") {
      entry["major"] = one.major();
      entry["minor"] = one.minor();
    }
    if (one.filemode() != 0) entry["fileMode"] = one.filemode() & 07777U;
    list.push_back(std::move(entry));
  }
  return list;
}

json syscall_rule(const grpc::LinuxSyscall& wire) {
  json out{{"names", string_list(wire.names())}, {"action", wire.action()}};
  if (wire.ErrnoRet_case() == grpc::LinuxSyscall::kErrnoret) out["errnoRet"] = wire.errnoret();
  auto args = json::array();
  for (const auto& arg : wire.args())
    args.push_back({{"index", arg.index()},
                    {"value", arg.value()},
                    {"valueTwo", arg.valuetwo()},
                    {"op", arg.op()}});
  if (!args.empty()) out["args"] = std::move(args);
  return out;
}

Result<json> seccomp(const grpc::LinuxSeccomp& wire) {
  json out{{"defaultAction", wire.defaultaction()}};
  if (wire.architectures_size() > 0) out["architectures"] = string_list(wire.architectures());
  if (wire.flags_size() > 0) out["flags"] = string_list(wire.flags());
  auto rules = json::array();
  for (const auto& rule : wire.syscalls()) {
    if (rule.names_size() == 0)
      return fail(Code::kInvalidArgument, "read seccomp rule: no system call is named");
    rules.push_back(syscall_rule(rule));
  }
  out["syscalls"] = std::move(rules);
  return out;
}

// Without a single rule crun installs no filter at all, and whoever may make a node (CAP_MKNOD is
// among the capabilities that containers get) opens every device of the guest: its disks, the
// agent's own channel, the TEE. So all are refused first; crun itself adds /dev/null and the like.
void refuse_devices_by_default(json& resources) {
  auto rules = json::array({{{"allow", false}, {"access", "rwm"}}});
  if (resources.contains("devices"))
    for (auto& rule : resources["devices"]) rules.push_back(std::move(rule));
  resources["devices"] = std::move(rules);
}

}  // namespace

Result<std::string> oci_namespace_type(const std::string& wire) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kTypes{{
      {"mount", "mount"},
      {"mnt", "mount"},
      {"network", "network"},
      {"net", "network"},
      {"pid", "pid"},
      {"ipc", "ipc"},
      {"uts", "uts"},
      {"user", "user"},
      {"cgroup", "cgroup"},
      {"time", "time"},
  }};
  for (const auto& [name, type] : kTypes)
    if (!name.empty() && name == wire) return std::string(type);
  return fail(Code::kInvalidArgument, fmt::format("read namespace type '{}': not known", wire));
}

Result<json> oci_resources(const grpc::LinuxResources& wire) {
  json out = json::object();
  auto rules = json::array();
  for (const auto& rule : wire.devices()) rules.push_back(device_rule(rule));
  if (!rules.empty()) out["devices"] = std::move(rules);
  if (wire.has_memory())
    if (auto limits = memory(wire.memory()); !limits.empty()) out["memory"] = std::move(limits);
  if (wire.has_cpu())
    if (auto limits = cpu(wire.cpu()); !limits.empty()) out["cpu"] = std::move(limits);
  if (wire.has_pids() && wire.pids().limit() != 0) out["pids"] = {{"limit", wire.pids().limit()}};
  if (wire.has_blockio())
    if (auto limits = block_io(wire.blockio()); !limits.empty()) out["blockIO"] = std::move(limits);
  auto pages = json::array();
  for (const auto& limit : wire.hugepagelimits())
    pages.push_back({{"pageSize", limit.pagesize()}, {"limit", limit.limit()}});
  if (!pages.empty()) out["hugepageLimits"] = std::move(pages);
  return out;
}

Result<json> oci_linux(const grpc::Linux& wire) {
  json out = json::object();
  if (wire.uidmappings_size() > 0) out["uidMappings"] = id_mappings(wire.uidmappings());
  if (wire.gidmappings_size() > 0) out["gidMappings"] = id_mappings(wire.gidmappings());
  COFFER_TRY(out["resources"], oci_resources(wire.resources()));
  refuse_devices_by_default(out["resources"]);
  if (!wire.cgroupspath().empty()) out["cgroupsPath"] = wire.cgroupspath();
  COFFER_TRY(out["namespaces"], namespaces(wire));
  COFFER_TRY(auto nodes, devices(wire));
  if (!nodes.empty()) out["devices"] = std::move(nodes);
  if (wire.has_seccomp()) {
    COFFER_TRY(out["seccomp"], seccomp(wire.seccomp()));
  }
  if (!wire.rootfspropagation().empty()) out["rootfsPropagation"] = wire.rootfspropagation();
  if (wire.maskedpaths_size() > 0) out["maskedPaths"] = string_list(wire.maskedpaths());
  if (wire.readonlypaths_size() > 0) out["readonlyPaths"] = string_list(wire.readonlypaths());
  return out;
}

}  // namespace coffer::agent
