#include "shim/sandbox/guest_spec.h"

#include <algorithm>
#include <array>

#include "shim/config/annotations.h"

namespace coffer::shim {
namespace {

constexpr std::string_view kTypeAnnotation = "io.katacontainers.pkg.oci.container_type";
constexpr std::string_view kBundleAnnotation = "io.katacontainers.pkg.oci.bundle_path";

bool is_path_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// The guest has its own network and cgroup namespaces and clock; PID is asked for by a flag; the
// others are new in the guest, whatever they were on the host.
bool rewrite_namespaces(grpc::Linux& linux_part) {
  auto* namespaces = linux_part.mutable_namespaces();
  const auto pid = std::ranges::find(*namespaces, "pid", &grpc::LinuxNamespace::type);
  const bool shares_pid = pid != namespaces->end() && !pid->path().empty();
  constexpr std::array<std::string_view, 5> kRemoved = {"network", "cgroup", "time", "pid", "user"};
  const auto removed = std::remove_if(
      namespaces->begin(), namespaces->end(),
      [&](const auto& each) { return std::ranges::find(kRemoved, each.type()) != kRemoved.end(); });
  namespaces->erase(removed, namespaces->end());
  for (grpc::LinuxNamespace& each : *namespaces) each.clear_path();
  return shares_pid;
}

void rewrite_resources(grpc::LinuxResources& resources) {
  // Device numbers, block devices, classes and CPU numbers are the host's.
  resources.clear_devices();
  resources.clear_blockio();
  resources.clear_network();
  if (resources.has_cpu()) {
    resources.mutable_cpu()->clear_cpus();
    resources.mutable_cpu()->clear_mems();
  }
}

void remove_vfio_devices(grpc::Linux& linux_part) {
  auto* devices = linux_part.mutable_devices();
  const auto removed = std::remove_if(devices->begin(), devices->end(), [](const auto& device) {
    return is_path_below(device.path(), "/dev/vfio");
  });
  devices->erase(removed, devices->end());
}

void rewrite_annotations(grpc::Spec& spec, const GuestSpecOptions& options) {
  auto& annotations = *spec.mutable_annotations();
  annotations.erase(std::string(kInitdataAnnotation));
  annotations.erase(std::string(kAgentPolicyAnnotation));
  annotations[std::string(kTypeAnnotation)] = role_name(options.role);
  annotations[std::string(kBundleAnnotation)] = options.bundle;
}

}  // namespace

void rewrite_process(grpc::Process& process, std::string_view selinux_label) {
  process.clear_apparmorprofile();
  process.set_selinuxlabel(std::string(selinux_label));
}

bool rewrite_spec(grpc::Spec& spec, const GuestSpecOptions& options) {
  rewrite_process(*spec.mutable_process(), options.selinux_label);
  spec.clear_hooks();
  spec.mutable_root()->set_path(options.root_path);
  rewrite_annotations(spec, options);
  grpc::Linux& linux_part = *spec.mutable_linux();
  if (linux_part.has_resources()) rewrite_resources(*linux_part.mutable_resources());
  if (!options.keep_seccomp) linux_part.clear_seccomp();
  linux_part.clear_mountlabel();
  // Mappings of a user namespace that the guest does not make.
  linux_part.clear_uidmappings();
  linux_part.clear_gidmappings();
  remove_vfio_devices(linux_part);
  return rewrite_namespaces(linux_part);
}

bool is_bind(const grpc::Mount& mount) {
  return mount.type() == "bind" || std::ranges::any_of(mount.options(), [](const auto& option) {
           return option == "bind" || option == "rbind";
         });
}

bool is_read_only(const grpc::Mount& mount) {
  return std::ranges::find(mount.options(), "ro") != mount.options().end();
}

MountKind classify_mount(const grpc::Mount& mount) {
  constexpr std::string_view kMemoryVolume = "/volumes/kubernetes.io~empty-dir/";
  if (!is_bind(mount)) return MountKind::kGuest;
  if (mount.destination() == "/dev/shm") return MountKind::kShm;
  // The guest has its own devices and kernel interfaces.
  if (is_path_below(mount.source(), "/proc") || is_path_below(mount.source(), "/sys") ||
      is_path_below(mount.destination(), "/dev")) {
    return MountKind::kGuest;
  }
  if (mount.source().find(kMemoryVolume) != std::string::npos) return MountKind::kEphemeral;
  return MountKind::kHost;
}

}  // namespace coffer::shim
