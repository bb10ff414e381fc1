#include "shim/sandbox/oci_json.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "shim/sandbox/json_reader.h"

namespace coffer::shim {
namespace {

using nlohmann::json;

void read_user(JsonReader& in, const json& from, grpc::User& to) {
  to.set_uid(in.number<std::uint32_t>(from, "uid"));
  to.set_gid(in.number<std::uint32_t>(from, "gid"));
  to.set_username(in.text(from, "username"));
  const json* gids = in.array(from, "additionalGids");
  if (gids == nullptr) return;
  for (const json& gid : *gids) {
    to.add_additionalgids(in.whole<std::uint32_t>(gid, "additionalGids"));
  }
}

void read_capabilities(JsonReader& in, const json& from, grpc::LinuxCapabilities& to) {
  in.texts(from, "bounding", [&](const std::string& name) { to.add_bounding(name); });
  in.texts(from, "effective", [&](const std::string& name) { to.add_effective(name); });
  in.texts(from, "inheritable", [&](const std::string& name) { to.add_inheritable(name); });
  in.texts(from, "permitted", [&](const std::string& name) { to.add_permitted(name); });
  in.texts(from, "ambient", [&](const std::string& name) { to.add_ambient(name); });
}

void read_process(JsonReader& in, const json& from, grpc::Process& to) {
  to.set_terminal(in.boolean(from, "terminal"));
  if (const json* size = in.object(from, "consoleSize")) {
    to.mutable_consolesize()->set_height(in.number<std::uint32_t>(*size, "height"));
    to.mutable_consolesize()->set_width(in.number<std::uint32_t>(*size, "width"));
  }
  if (const json* user = in.object(from, "user")) read_user(in, *user, *to.mutable_user());
  in.texts(from, "args", [&](const std::string& arg) { to.add_args(arg); });
  in.texts(from, "env", [&](const std::string& entry) { to.add_env(entry); });
  to.set_cwd(in.text(from, "cwd"));
  if (const json* caps = in.object(from, "capabilities")) {
    read_capabilities(in, *caps, *to.mutable_capabilities());
  }
  in.objects(from, "rlimits", [&](const json& limit) {
    grpc::POSIXRlimit& added = *to.add_rlimits();
    added.set_type(in.text(limit, "type"));
    added.set_hard(in.number<std::uint64_t>(limit, "hard"));
    added.set_soft(in.number<std::uint64_t>(limit, "soft"));
  });
  to.set_nonewprivileges(in.boolean(from, "noNewPrivileges"));
  to.set_apparmorprofile(in.text(from, "apparmorProfile"));
  to.set_oomscoreadj(in.number<std::int64_t>(from, "oomScoreAdj"));
  to.set_selinuxlabel(in.text(from, "selinuxLabel"));
}

void read_memory(JsonReader& in, const json& from, grpc::LinuxMemory& to) {
  to.set_limit(in.number<std::int64_t>(from, "limit"));
  to.set_reservation(in.number<std::int64_t>(from, "reservation"));
  to.set_swap(in.number<std::int64_t>(from, "swap"));
  to.set_kernel(in.number<std::int64_t>(from, "kernel"));
  to.set_kerneltcp(in.number<std::int64_t>(from, "kernelTCP"));
  to.set_swappiness(in.number<std::uint64_t>(from, "swappiness"));
  to.set_disableoomkiller(in.boolean(from, "disableOOMKiller"));
}

void read_cpu(JsonReader& in, const json& from, grpc::LinuxCPU& to) {
  to.set_shares(in.number<std::uint64_t>(from, "shares"));
  to.set_quota(in.number<std::int64_t>(from, "quota"));
  to.set_period(in.number<std::uint64_t>(from, "period"));
  to.set_realtimeruntime(in.number<std::int64_t>(from, "realtimeRuntime"));
  to.set_realtimeperiod(in.number<std::uint64_t>(from, "realtimePeriod"));
  to.set_cpus(in.text(from, "cpus"));
  to.set_mems(in.text(from, "mems"));
}

void read_resources(JsonReader& in, const json& from, grpc::LinuxResources& to) {
  in.objects(from, "devices", [&](const json& rule) {
    grpc::LinuxDeviceCgroup& added = *to.add_devices();
    added.set_allow(in.boolean(rule, "allow"));
    added.set_type(in.text(rule, "type"));
    added.set_major(in.number<std::int64_t>(rule, "major"));
    added.set_minor(in.number<std::int64_t>(rule, "minor"));
    added.set_access(in.text(rule, "access"));
  });
  if (const json* memory = in.object(from, "memory"))
    read_memory(in, *memory, *to.mutable_memory());
  if (const json* cpu = in.object(from, "cpu")) read_cpu(in, *cpu, *to.mutable_cpu());
  if (const json* pids = in.object(from, "pids")) {
    to.mutable_pids()->set_limit(in.number<std::int64_t>(*pids, "limit"));
  }
  in.objects(from, "hugepageLimits", [&](const json& limit) {
    grpc::LinuxHugepageLimit& added = *to.add_hugepagelimits();
    added.set_pagesize(in.text(limit, "pageSize"));
    added.set_limit(in.number<std::uint64_t>(limit, "limit"));
  });
}

void read_seccomp_rule(JsonReader& in, const json& from, grpc::LinuxSyscall& to) {
  in.texts(from, "names", [&](const std::string& name) { to.add_names(name); });
  to.set_action(in.text(from, "action"));
  if (const auto number = in.optional_number<std::uint32_t>(from, "errnoRet")) {
    to.set_errnoret(*number);
  }
  in.objects(from, "args", [&](const json& arg) {
    grpc::LinuxSeccompArg& added = *to.add_args();
    added.set_index(in.number<std::uint64_t>(arg, "index"));
    added.set_value(in.number<std::uint64_t>(arg, "value"));
    added.set_valuetwo(in.number<std::uint64_t>(arg, "valueTwo"));
    added.set_op(in.text(arg, "op"));
  });
}

void read_seccomp(JsonReader& in, const json& from, grpc::LinuxSeccomp& to) {
  to.set_defaultaction(in.text(from, "defaultAction"));
  in.texts(from, "architectures", [&](const std::string& name) { to.add_architectures(name); });
  in.texts(from, "flags", [&](const std::string& name) { to.add_flags(name); });
  in.objects(from, "syscalls",
             [&](const json& rule) { read_seccomp_rule(in, rule, *to.add_syscalls()); });
}

void read_mapping(JsonReader& in, const json& from, grpc::LinuxIDMapping& to) {
  to.set_hostid(in.number<std::uint32_t>(from, "hostID"));
  to.set_containerid(in.number<std::uint32_t>(from, "containerID"));
  to.set_size(in.number<std::uint32_t>(from, "size"));
}

void read_device(JsonReader& in, const json& from, grpc::LinuxDevice& to) {
  to.set_path(in.text(from, "path"));
  to.set_type(in.text(from, "type"));
  to.set_major(in.number<std::int64_t>(from, "major"));
  to.set_minor(in.number<std::int64_t>(from, "minor"));
  to.set_filemode(in.number<std::uint32_t>(from, "fileMode"));
  to.set_uid(in.number<std::uint32_t>(from, "uid"));
  to.set_gid(in.number<std::uint32_t>(from, "gid"));
}

void read_linux(JsonReader& in, const json& from, grpc::Linux& to) {
  in.objects(from, "uidMappings",
             [&](const json& each) { read_mapping(in, each, *to.add_uidmappings()); });
  in.objects(from, "gidMappings",
             [&](const json& each) { read_mapping(in, each, *to.add_gidmappings()); });
  in.text_map(from, "sysctl", [&](const std::string& key, const std::string& value) {
    (*to.mutable_sysctl())[key] = value;
  });
  if (const json* resources = in.object(from, "resources")) {
    read_resources(in, *resources, *to.mutable_resources());
  }
  to.set_cgroupspath(in.text(from, "cgroupsPath"));
  in.objects(from, "namespaces", [&](const json& each) {
    grpc::LinuxNamespace& added = *to.add_namespaces();
    added.set_type(in.text(each, "type"));
    added.set_path(in.text(each, "path"));
  });
  in.objects(from, "devices", [&](const json& each) { read_device(in, each, *to.add_devices()); });
  if (const json* seccomp = in.object(from, "seccomp")) {
    read_seccomp(in, *seccomp, *to.mutable_seccomp());
  }
  to.set_rootfspropagation(in.text(from, "rootfsPropagation"));
  in.texts(from, "maskedPaths", [&](const std::string& path) { to.add_maskedpaths(path); });
  in.texts(from, "readonlyPaths", [&](const std::string& path) { to.add_readonlypaths(path); });
  to.set_mountlabel(in.text(from, "mountLabel"));
}

void read_spec(JsonReader& in, const json& from, grpc::Spec& to) {
  to.set_version(in.text(from, "ociVersion"));
  const json* process = in.object(from, "process");
  if (process == nullptr) return in.wrong("process", "given");
  read_process(in, *process, *to.mutable_process());
  const json* root = in.object(from, "root");
  if (root == nullptr) return in.wrong("root", "given");
  to.mutable_root()->set_path(in.text(*root, "path"));
  to.mutable_root()->set_readonly(in.boolean(*root, "readonly"));
  to.set_hostname(in.text(from, "hostname"));
  in.objects(from, "mounts", [&](const json& each) {
    grpc::Mount& added = *to.add_mounts();
    added.set_destination(in.text(each, "destination"));
    added.set_source(in.text(each, "source"));
    added.set_type(in.text(each, "type"));
    in.texts(each, "options", [&](const std::string& option) { added.add_options(option); });
  });
  in.text_map(from, "annotations", [&](const std::string& key, const std::string& value) {
    (*to.mutable_annotations())[key] = value;
  });
  if (const json* linux_part = in.object(from, "linux")) {
    read_linux(in, *linux_part, *to.mutable_linux());
  }
}

// Parses `text` and translates its top object.
template <typename Message, typename Read>
Result<Message> translate(std::string_view text, const char* what, Read read) {
  COFFER_TRY(const json document, parse_json(text, what));
  JsonReader in(what);
  Message message;
  if (document.is_object()) {
    read(in, document, message);
  } else {
    in.wrong("(the document)", "an object");
  }
  COFFER_TRY_VOID(in.status());
  return message;
}

}  // namespace

Result<grpc::Spec> parse_oci_spec(std::string_view text) {
  return translate<grpc::Spec>(text, "config.json", read_spec);
}

Result<grpc::Process> parse_oci_process(std::string_view text) {
  return translate<grpc::Process>(text, "process specification", read_process);
}

Result<grpc::LinuxResources> parse_oci_resources(std::string_view text) {
  return translate<grpc::LinuxResources>(text, "resources", read_resources);
}

}  // namespace coffer::shim
