#include "guest-agent/spec.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "guest-agent/bundle.h"
#include "guest-agent/container.h"
#include "guest-agent/namespaces.h"
#include "rpc/protos/oci.pb.h"

namespace coffer::agent {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

grpc::Spec minimal() {
  grpc::Spec spec;
  spec.mutable_process()->add_args("/bin/true");
  spec.mutable_root()->set_path("/rootfs");
  spec.mutable_linux()->add_namespaces()->set_type("mount");
  return spec;
}

TEST(Spec, CarriesAProcess) {
  auto spec = minimal();
  auto& process = *spec.mutable_process();
  process.set_terminal(true);
  process.mutable_consolesize()->set_height(24);
  process.mutable_user()->set_uid(1000);
  process.mutable_user()->add_additionalgids(5);
  process.add_env("A=b");
  process.add_env("no-equals-sign");
  process.set_cwd("/work");
  process.set_nonewprivileges(true);
  auto& limit = *process.add_rlimits();
  limit.set_type("RLIMIT_NOFILE");
  limit.set_hard(10);
  limit.set_soft(5);
  process.mutable_capabilities()->add_bounding("CAP_CHOWN");
  process.mutable_capabilities()->add_bounding("KILL");
  process.mutable_capabilities()->add_bounding("\"CAP_SYS_ADMIN\"");
  const auto config = oci_spec(spec);
  ASSERT_TRUE(config) << config.error().to_string();
  const auto& out = (*config)["process"];
  EXPECT_EQ(out["args"], json({"/bin/true"}));
  EXPECT_EQ(out["env"], json({"A=b"}));
  EXPECT_EQ(out["user"], json({{"uid", 1000}, {"gid", 0}, {"additionalGids", {5}}}));
  EXPECT_EQ(out["consoleSize"]["height"], 24);
  EXPECT_EQ(out["capabilities"]["bounding"], json({"CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"}));
  EXPECT_EQ(out["rlimits"][0]["soft"], 5);
  EXPECT_EQ(out["oomScoreAdj"], 0) << "always written: the agent's must not be inherited";
}

TEST(Spec, KeepsUnlimitedAndPidLimits) {
  grpc::LinuxResources wire;
  wire.mutable_memory()->set_limit(-1);
  wire.mutable_memory()->set_swap(1 << 20);
  wire.mutable_memory()->set_kernel(5);
  wire.mutable_cpu()->set_quota(-1);
  wire.mutable_cpu()->set_shares(512);
  wire.mutable_pids()->set_limit(99);
  const auto out = oci_resources(wire);
  ASSERT_TRUE(out);
  EXPECT_EQ((*out)["memory"], json({{"limit", -1}, {"swap", 1 << 20}}));
  EXPECT_EQ((*out)["cpu"], json({{"quota", -1}, {"shares", 512}}));
  EXPECT_EQ((*out)["pids"]["limit"], 99);
}

TEST(Spec, LeavesOutResourcesThatSayNothing) {
  grpc::LinuxResources wire;
  wire.mutable_memory();
  wire.mutable_cpu();
  wire.mutable_pids();
  wire.mutable_blockio();
  const auto out = oci_resources(wire);
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->empty()) << out->dump();
}

TEST(Spec, ReadsDeviceNumbersWithoutWideningThem) {
  grpc::LinuxResources wire;
  const auto add = [&](bool allow, std::int64_t major, std::int64_t minor) {
    auto& rule = *wire.add_devices();
    rule.set_allow(allow);
    rule.set_type("c");
    rule.set_major(major);
    rule.set_minor(minor);
  };
  add(false, 0, 0);
  add(true, 5, 0);
  add(true, 136, -1);
  add(true, -1, -1);
  const auto out = *oci_resources(wire);
  EXPECT_EQ(out["devices"][0], json({{"allow", false}, {"type", "c"}}));
  EXPECT_EQ(out["devices"][1], json({{"allow", true}, {"type", "c"}, {"major", 5}, {"minor", 0}}));
  EXPECT_EQ(out["devices"][2], json({{"allow", true}, {"type", "c"}, {"major", 136}}));
  EXPECT_EQ(out["devices"][3], json({{"allow", true}, {"type", "c"}}));
}

// crun filters devices only when there is a rule, and Kata's policy and shims leave none.
TEST(Spec, RefusesEveryDeviceThatNoRuleAllows) {
  const json refuse_all = {{"allow", false}, {"access", "rwm"}};
  auto spec = minimal();
  EXPECT_EQ((*oci_spec(spec))["linux"]["resources"]["devices"], json::array({refuse_all}));
  auto& rule = *spec.mutable_linux()->mutable_resources()->add_devices();
  rule.set_allow(true);
  rule.set_type("c");
  rule.set_major(10);
  rule.set_minor(229);
  rule.set_access("rwm");
  const auto rules = (*oci_spec(spec))["linux"]["resources"]["devices"];
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0], refuse_all) << "first, or it would take back what follows";
  EXPECT_EQ(rules[1]["major"], 10);
}

TEST(Spec, KeepsHooksInTheirOwnLists) {
  auto spec = minimal();
  auto& hooks = *spec.mutable_hooks();
  hooks.add_poststart()->set_path("/poststart");
  hooks.add_poststop()->set_path("/poststop");
  hooks.add_createruntime()->set_path("/never");
  const auto config = *oci_spec(spec);
  EXPECT_EQ(config["hooks"], json({{"poststart", {{{"path", "/poststart"}}}},
                                   {"poststop", {{{"path", "/poststop"}}}}}));
}

TEST(Spec, SetsAnErrnoOnlyWhenTheWireHasOne) {
  auto spec = minimal();
  auto& seccomp = *spec.mutable_linux()->mutable_seccomp();
  seccomp.set_defaultaction("SCMP_ACT_ERRNO");
  auto& with = *seccomp.add_syscalls();
  with.add_names("clone3");
  with.set_action("SCMP_ACT_ERRNO");
  with.set_errnoret(38);
  auto& without = *seccomp.add_syscalls();
  without.add_names("read");
  without.set_action("SCMP_ACT_ALLOW");
  const auto config = *oci_spec(spec);
  const auto& rules = config["linux"]["seccomp"]["syscalls"];
  EXPECT_EQ(rules[0]["errnoRet"], 38);
  EXPECT_FALSE(rules[1].contains("errnoRet"));
}

TEST(Spec, DropsAnnotationsThatSteerTheRuntime) {
  auto spec = minimal();
  auto& annotations = *spec.mutable_annotations();
  annotations["run.oci.hooks.stdout"] = "/etc/passwd";
  annotations["run.oci.seccomp_bpf_data"] = "x";
  annotations["module.wasm.image/variant"] = "x";
  annotations["io.kubernetes.cri.container-type"] = "container";
  const auto config = *oci_spec(spec);
  EXPECT_EQ(config["annotations"], json({{"io.kubernetes.cri.container-type", "container"}}));
}

TEST(Spec, NamesNamespacesInBothSpellings) {
  EXPECT_EQ(oci_namespace_type("mnt").value_or(""), "mount");
  EXPECT_EQ(oci_namespace_type("mount").value_or(""), "mount");
  EXPECT_EQ(oci_namespace_type("net").value_or(""), "network");
  EXPECT_FALSE(oci_namespace_type("mounts"));
  EXPECT_FALSE(oci_namespace_type(""));
}

struct Refused {
  const char* what;
  void (*spoil)(grpc::Spec& spec);
};

class SpecRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(SpecRefuses, WhatItDoesNotKnow) {
  auto spec = minimal();
  GetParam().spoil(spec);
  EXPECT_FALSE(oci_spec(spec)) << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(
    Specs, SpecRefuses,
    ::testing::Values(
        Refused{"no process", [](grpc::Spec& spec) { spec.clear_process(); }},
        Refused{"no root", [](grpc::Spec& spec) { spec.clear_root(); }},
        Refused{"no args", [](grpc::Spec& spec) { spec.mutable_process()->clear_args(); }},
        Refused{"relative root", [](grpc::Spec& spec) { spec.mutable_root()->set_path("r"); }},
        Refused{"capability",
                [](grpc::Spec& spec) {
                  spec.mutable_process()->mutable_capabilities()->add_ambient("cap_chown");
                }},
        Refused{"SELinux label",
                [](grpc::Spec& spec) { spec.mutable_process()->set_selinuxlabel("u:r:t:s0"); }},
        Refused{
            "namespace",
            [](grpc::Spec& spec) { spec.mutable_linux()->add_namespaces()->set_type("universe"); }},
        Refused{
            "device path",
            [](grpc::Spec& spec) { spec.mutable_linux()->add_devices()->set_path("/etc/passwd"); }},
        Refused{"device path up",
                [](grpc::Spec& spec) {
                  spec.mutable_linux()->add_devices()->set_path("/dev/../etc/x");
                }},
        Refused{"relative mount",
                [](grpc::Spec& spec) { spec.add_mounts()->set_destination("etc"); }},
        Refused{"relative hook",
                [](grpc::Spec& spec) { spec.mutable_hooks()->add_prestart()->set_path("x"); }},
        Refused{"nameless system call", [](grpc::Spec& spec) {
                  spec.mutable_linux()->mutable_seccomp()->add_syscalls()->set_action("x");
                }}));

TEST(Bundle, PutsTheContainerIntoTheSandbox) {
  auto spec = minimal();
  for (const char* type : {"ipc", "uts", "pid", "cgroup"})
    spec.mutable_linux()->add_namespaces()->set_type(type);
  spec.set_hostname("from-the-host");
  auto config = *oci_spec(spec);
  const SandboxNamespaces namespaces("/run/sandbox-ns");
  ASSERT_TRUE(place_in_sandbox(config, namespaces, false));
  EXPECT_EQ(config["linux"]["namespaces"], json({{{"type", "mount"}},
                                                 {{"type", "ipc"}, {"path", "/run/sandbox-ns/ipc"}},
                                                 {{"type", "uts"}, {"path", "/run/sandbox-ns/uts"}},
                                                 {{"type", "cgroup"}},
                                                 {{"type", "pid"}}}));
  EXPECT_FALSE(config.contains("hostname"));
}

// Kata's rules look for ".../ID/rootfs" anywhere in the path.
TEST(Bundle, TakesNoRootThatIsNotTheContainers) {
  std::string name = fs::temp_directory_path() / "root-XXXXXX";
  const fs::path dir = ::mkdtemp(name.data());
  const auto base = dir / "base";
  for (const char* made : {"c1/rootfs/bin", "c2/rootfs", "shared/containers/c1/rootfs"})
    fs::create_directories(base / made);
  fs::create_directory_symlink(base / "c2/rootfs", base / "shared/containers/link");
  fs::create_directories(dir / "elsewhere");
  const auto refusal = [&](const std::string& path, bool pulled = false) {
    const auto status = check_root(base, "c1", path, pulled);
    return status ? std::string("taken") : status.error().message().substr(path.size());
  };
  const auto own = (base / "c1/rootfs").native();
  EXPECT_EQ(refusal(own), "taken");
  EXPECT_EQ(refusal(own, true), "taken");
  EXPECT_EQ(refusal(base / "shared/containers/c1/rootfs"), "taken");
  EXPECT_EQ(refusal(dir / "elsewhere"), "taken");
  for (const std::string& bad :
       {std::string("/"), base.native(), dir.native(), own + "/../../../..", own + "/.", own + "/",
        own + "/bin", (base / "c2/rootfs").native(), (base / "c1").native(), "/" + own,
        (base / "shared/containers/link").native(), (base / "shared/none").native(),
        std::string("base/c1/rootfs"), std::string()}) {
    EXPECT_NE(refusal(bad), "taken") << bad;
  }
  EXPECT_NE(refusal(base / "shared/containers/c1/rootfs", true), "taken")
      << "the image was unpacked elsewhere";
  fs::remove_all(dir);
}

TEST(Bundle, RunsThePauseProgramOfTheGuest) {
  std::string name = fs::temp_directory_path() / "pause-XXXXXX";
  const fs::path dir = ::mkdtemp(name.data());
  ASSERT_TRUE(write_file(dir / "config.json",
                         R"({"process":{"args":["/pause"],"cwd":"/","user":{"uid":65535}}})"));
  auto config = *oci_spec(minimal());
  ASSERT_TRUE(run_pause_image(config, dir));
  EXPECT_EQ(config["process"]["args"], json({"/pause"}));
  EXPECT_EQ(config["process"]["user"]["uid"], 65535);
  ASSERT_TRUE(write_file(dir / "config.json", "{}"));
  EXPECT_FALSE(run_pause_image(config, dir));
  fs::remove_all(dir);
}

TEST(ContainerId, IsAPlainFileName) {
  for (const char* good : {"ab", "a.b-c_d", "0123456789abcdef"})
    EXPECT_TRUE(check_container_id(good)) << good;
  for (const char* bad : {"", "a", ".a", "-a", "a/b", "a b", "a\n", "..", "ä1"})
    EXPECT_FALSE(check_container_id(bad)) << bad;
  EXPECT_TRUE(check_container_id(std::string(200, 'x')));
  EXPECT_FALSE(check_container_id(std::string(201, 'x')));
}

}  // namespace
}  // namespace coffer::agent
