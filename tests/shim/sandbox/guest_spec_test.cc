#include "shim/sandbox/guest_spec.h"

#include <gtest/gtest.h>

#include "shim/sandbox/oci_json.h"

namespace coffer::shim {
namespace {

grpc::Spec spec(const char* text) {
  auto parsed = parse_oci_spec(text);
  EXPECT_TRUE(parsed) << parsed.error().to_string();
  return *parsed;
}

GuestSpecOptions options(Role role = Role::kContainer) {
  return {.role = role,
          .bundle = "/bundle",
          .root_path = "/guest/rootfs",
          .keep_seccomp = false,
          .selinux_label = ""};
}

TEST(GuestSpec, LeavesTheHostsNamespacesBehind) {
  grpc::Spec guest = spec(R"({"process":{},"root":{"path":"r"},"linux":{"namespaces":[
      {"type":"pid","path":"/proc/9/ns/pid"},{"type":"network","path":"/n"},{"type":"cgroup"},
      {"type":"ipc","path":"/proc/9/ns/ipc"},{"type":"uts"},{"type":"mount"}]}})");
  EXPECT_TRUE(rewrite_spec(guest, options()));
  ASSERT_EQ(guest.linux().namespaces_size(), 3);
  EXPECT_EQ(guest.linux().namespaces(0).type(), "ipc");
  EXPECT_EQ(guest.linux().namespaces(0).path(), "");
  EXPECT_EQ(guest.root().path(), "/guest/rootfs");
}

TEST(GuestSpec, AsksForASharedPidNamespaceOnlyWhenTheHostNamesOne) {
  grpc::Spec guest = spec(R"({"process":{},"root":{},"linux":{"namespaces":[{"type":"pid"}]}})");
  EXPECT_FALSE(rewrite_spec(guest, options()));
}

TEST(GuestSpec, RemovesWhatIsOfTheHost) {
  grpc::Spec guest = spec(R"({"process":{"apparmorProfile":"p","selinuxLabel":"l"},"root":{},
      "annotations":{"io.katacontainers.config.hypervisor.cc_init_data":"x",
                     "io.katacontainers.config.agent.policy":"y","keep":"z"},
      "linux":{"seccomp":{"defaultAction":"A"},"mountLabel":"m",
        "devices":[{"path":"/dev/vfio/1","type":"c"},{"path":"/dev/vfio2","type":"c"}],
        "resources":{"devices":[{"allow":true}],"pids":{"limit":5},
                     "cpu":{"cpus":"0","mems":"0","shares":7}}}})");
  rewrite_spec(guest, options());
  EXPECT_EQ(guest.process().apparmorprofile(), "");
  EXPECT_EQ(guest.process().selinuxlabel(), "");
  EXPECT_FALSE(guest.linux().has_seccomp());
  EXPECT_EQ(guest.linux().mountlabel(), "");
  ASSERT_EQ(guest.linux().devices_size(), 1);
  EXPECT_EQ(guest.linux().devices(0).path(), "/dev/vfio2");
  EXPECT_EQ(guest.linux().resources().devices_size(), 0);
  EXPECT_EQ(guest.linux().resources().pids().limit(), 5);
  EXPECT_EQ(guest.linux().resources().cpu().cpus(), "");
  EXPECT_EQ(guest.linux().resources().cpu().shares(), 7U);
  EXPECT_EQ(guest.annotations().size(), 3U);
  EXPECT_EQ(guest.annotations().at("keep"), "z");
  EXPECT_EQ(guest.annotations().at("io.katacontainers.pkg.oci.container_type"), "pod_container");
  EXPECT_EQ(guest.annotations().at("io.katacontainers.pkg.oci.bundle_path"), "/bundle");
}

TEST(GuestSpec, KeepsSeccompWhenTheClassWantsIt) {
  grpc::Spec guest = spec(R"({"process":{},"root":{},"linux":{"seccomp":{"defaultAction":"A"}}})");
  GuestSpecOptions with = options();
  with.keep_seccomp = true;
  rewrite_spec(guest, with);
  EXPECT_TRUE(guest.linux().has_seccomp());
}

TEST(GuestSpec, TellsMountsApart) {
  struct Case {
    const char* destination;
    const char* source;
    const char* type;
    MountKind want;
  };
  for (const Case& each :
       {Case{"/proc", "proc", "proc", MountKind::kGuest},
        Case{"/dev/shm", "shm", "tmpfs", MountKind::kGuest},
        Case{"/dev/shm", "/run/x/shm", "bind", MountKind::kShm},
        Case{"/dev/termination-log", "/var/lib/x", "bind", MountKind::kGuest},
        Case{"/etc/hosts", "/var/lib/hosts", "bind", MountKind::kHost},
        Case{"/x", "/proc/cpuinfo", "bind", MountKind::kGuest},
        Case{"/x", "/process", "bind", MountKind::kHost},
        Case{"/cache", "/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/c", "bind",
             MountKind::kEphemeral}}) {
    grpc::Mount mount;
    mount.set_destination(each.destination);
    mount.set_source(each.source);
    mount.set_type(each.type);
    EXPECT_EQ(classify_mount(mount), each.want) << each.destination << " " << each.source;
  }
}

}  // namespace
}  // namespace coffer::shim
