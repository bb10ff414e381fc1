#include "shim/sandbox/oci_json.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace coffer::shim {
namespace {

constexpr const char* kSpec = R"({
  "ociVersion": "1.0.2",
  "process": {
    "terminal": true, "consoleSize": {"height": 24, "width": 80},
    "user": {"uid": 1, "gid": 2, "additionalGids": [3, 4]},
    "args": ["sh", "-c", "true"], "env": ["A=b"], "cwd": "/",
    "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": ["CAP_KILL"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 512}],
    "noNewPrivileges": true, "oomScoreAdj": -5
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "box",
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}],
  "annotations": {"k": "v"},
  "linux": {
    "resources": {
      "devices": [{"allow": false, "access": "rwm"}],
      "memory": {"limit": 1048576, "swap": -1},
      "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0-1"},
      "pids": {"limit": 32}
    },
    "cgroupsPath": "/a/b",
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"}],
    "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2, "fileMode": 438}],
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}]},
    "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
    "sysctl": {"net.ipv4.ip_forward": "1"}
  }
})";

TEST(OciJson, TranslatesAWholeSpecification) {
  const auto spec = parse_oci_spec(kSpec);
  ASSERT_TRUE(spec) << spec.error().to_string();
  EXPECT_EQ(spec->version(), "1.0.2");
  EXPECT_TRUE(spec->process().terminal());
  EXPECT_EQ(spec->process().consolesize().width(), 80U);
  EXPECT_EQ(spec->process().user().additionalgids(1), 4U);
  EXPECT_EQ(spec->process().args(2), "true");
  EXPECT_EQ(spec->process().capabilities().ambient(0), "CAP_KILL");
  EXPECT_EQ(spec->process().rlimits(0).soft(), 512U);
  EXPECT_EQ(spec->process().oomscoreadj(), -5);
  EXPECT_TRUE(spec->root().readonly());
  EXPECT_EQ(spec->mounts(0).options(0), "nosuid");
  EXPECT_EQ(spec->annotations().at("k"), "v");
  EXPECT_EQ(spec->linux().resources().memory().swap(), -1);
  EXPECT_EQ(spec->linux().resources().cpu().quota(), 50000);
  EXPECT_EQ(spec->linux().resources().pids().limit(), 32);
  EXPECT_EQ(spec->linux().namespaces(1).path(), "/run/netns/x");
  EXPECT_EQ(spec->linux().devices(0).filemode(), 438U);
  EXPECT_EQ(spec->linux().seccomp().syscalls(0).errnoret(), 1U);
  EXPECT_EQ(spec->linux().sysctl().at("net.ipv4.ip_forward"), "1");
}

TEST(OciJson, NamesTheValueItRefuses) {
  const std::vector<std::pair<const char*, std::string_view>> cases = {
      {R"([])", "must be an object"},
      {R"({"root":{"path":"x"}})", "'process' must be given"},
      {R"({"process":{}})", "'root' must be given"},
      {R"({"process":{"args":"sh"},"root":{}})", "'args' must be a list"},
      {R"({"process":{"args":[1]},"root":{}})", "'args' must be a list of strings"},
      {R"({"process":{"user":{"uid":-1}},"root":{}})", "'uid' must be a whole number in range"},
      {R"({"process":{"user":{"uid":4294967296}},"root":{}})", "'uid' must be a whole number"},
      {R"({"process":{"user":{"uid":1.5}},"root":{}})", "'uid' must be a whole number"},
      {R"({"process":{},"root":{},"mounts":[3]})", "'mounts' must be a list of objects"},
      {R"({"process":{},"root":{},"annotations":{"a":1}})", "'annotations' must be a map"},
      {R"({"process":{"terminal":"yes"},"root":{}})", "'terminal' must be true or false"},
      {R"({"process":)", "config.json"},
  };
  for (const auto& [text, want] : cases) {
    const auto spec = parse_oci_spec(text);
    ASSERT_FALSE(spec) << text;
    EXPECT_EQ(spec.error().code(), Code::kInvalidArgument);
    EXPECT_NE(spec.error().to_string().find(want), std::string::npos) << spec.error().to_string();
  }
}

TEST(OciJson, ReadsAnExecsProcessAndAnUpdatesResources) {
  EXPECT_EQ(parse_oci_process(R"({"args":["id"],"cwd":"/"})")->args(0), "id");
  EXPECT_EQ(parse_oci_resources(R"({"memory":{"limit":1}})")->memory().limit(), 1);
  EXPECT_FALSE(parse_oci_process("7"));
  EXPECT_FALSE(parse_oci_resources(R"({"memory":7})"));
}

}  // namespace
}  // namespace coffer::shim
