// From the host's OCI specification to the one the guest agent gets: what means nothing inside the
// VM, or must not be taken over from the host, is removed or replaced.
#pragma once

#include <string>
#include <string_view>

#include "rpc/protos/oci.pb.h"
#include "shim/sandbox/role.h"

namespace coffer::shim {

// Guest paths, as Kata's agent has them.
inline constexpr std::string_view kGuestRunDir = "/run/kata-containers";
inline constexpr std::string_view kGuestShareDir = "/run/kata-containers/shared/containers";
inline constexpr std::string_view kGuestShm = "/run/kata-containers/sandbox/shm";
inline constexpr std::string_view kGuestEphemeralDir = "/run/kata-containers/sandbox/ephemeral";
inline constexpr std::string_view kGuestLocalDir = "/run/kata-containers/sandbox/local";
inline constexpr std::string_view kShareTag = "kataShared";

struct GuestSpecOptions {
  Role role = Role::kSingle;
  std::string bundle;     // told to the guest in an annotation
  std::string root_path;  // the root file system's guest path
  bool keep_seccomp = false;
  std::string selinux_label;  // replaces the host's
};

// Rewrites `spec` in place; mounts are left as they are. Returns whether the container joins the
// sandbox's PID namespace, which the request says outside of the specification.
bool rewrite_spec(grpc::Spec& spec, const GuestSpecOptions& options);

// An exec's process: labels of the host's security modules go.
void rewrite_process(grpc::Process& process, std::string_view selinux_label);

// What a mount of the specification is, seen from the guest.
enum class MountKind {
  kGuest,      // made by the guest as it stands: proc, sysfs, tmpfs, ...
  kShm,        // the sandbox's /dev/shm
  kHost,       // a file or folder of the host
  kEphemeral,  // an emptyDir in memory
};
[[nodiscard]] MountKind classify_mount(const grpc::Mount& mount);

[[nodiscard]] bool is_bind(const grpc::Mount& mount);
[[nodiscard]] bool is_read_only(const grpc::Mount& mount);

}  // namespace coffer::shim
