#include "cli/policy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/fd.h"

namespace coffer::cli {
namespace {

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

class PolicyCommands : public testing::Test {
 protected:
  PolicyCommands() {
    char name[] = "/tmp/coffer-policy-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~PolicyCommands() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  PolicyCommands(const PolicyCommands&) = delete;
  PolicyCommands& operator=(const PolicyCommands&) = delete;

  std::string file(const std::string& name, const std::string& content) {
    const std::string path = (folder_ / name).string();
    EXPECT_TRUE(write_file(path, content).has_value());
    return path;
  }

  static Ran run(const std::vector<std::string>& args) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Ran ran;
    const auto commands = policy_commands();
    ran.code = dispatch(commands, args);
    std::fflush(nullptr);
    ran.out = testing::internal::GetCapturedStdout();
    ran.err = testing::internal::GetCapturedStderr();
    return ran;
  }

  std::filesystem::path folder_;
};

constexpr const char* kPolicy = R"(package agent_policy
default ExecProcessRequest := false
ExecProcessRequest if input.command == "ls"
StartContainerRequest := {"allowed": true, "ops": [{"op": "add", "path": "/pstate/n", "value": 1}]} if not data.pstate.n
default StartContainerRequest := {"allowed": false}
)";

TEST_F(PolicyCommands, EvalAnswersInEachFormat) {
  const std::string policy = file("p.rego", "package t\nimport rego.v1\ns := {2, 1}\nt := \"x y\"");
  EXPECT_EQ(run({"policy", "eval", "-d", policy, "-f", "raw", "data.t.t"}).out, "x y\n");
  EXPECT_EQ(run({"policy", "eval", "-d", policy, "-f", "pretty", "data.t.s"}).out,
            "[\n  1,\n  2\n]\n");
  EXPECT_EQ(run({"policy", "eval", "data.none"}).out, "{}\n");
  EXPECT_EQ(run({"policy", "eval", "--fail", "data.none"}).code, kExitNegative);
  EXPECT_EQ(run({"policy", "eval", "1 +"}).code, kExitError);
  EXPECT_EQ(run({"policy", "eval", "--format", "xml", "1"}).code, kExitError);
}

TEST_F(PolicyCommands, EvalTakesConstantsThatTheQueryReplaces) {
  const std::string policy = file("p.rego", "package t\nc := 1\np := c");
  EXPECT_EQ(run({"policy", "eval", "-d", policy, "-f", "raw", "data.t.p with data.t.c as 2"}).out,
            "2\n");
}

TEST_F(PolicyCommands, CheckSaysWhere) {
  EXPECT_EQ(run({"policy", "check", file("good.rego", "package t\np := 1")}).code, kExitOk);
  const Ran bad = run({"policy", "check", file("bad.rego", "package t\np := x")});
  EXPECT_EQ(bad.code, kExitNegative);
  EXPECT_NE(bad.err.find("bad.rego:2:6: rego_unsafe_var_error"), std::string::npos) << bad.err;
}

TEST_F(PolicyCommands, TestComparesAnswersAndCarriesState) {
  const std::string policy = file("p.rego", kPolicy);
  const std::string good =
      file("good.jsonl",
           "{\"ep\":\"ExecProcessRequest\",\"input\":{\"command\":\"ls\"},\"want\":true}\n"
           "{\"ep\":\"StartContainerRequest\",\"input\":{},\"allowed\":true}\n"
           "{\"ep\":\"StartContainerRequest\",\"input\":{},\"allowed\":false}\n"
           "{\"ep\":\"StartContainerRequest\",\"input\":{},\"state\":{},\"allowed\":true}\n"
           "{\"ep\":\"Nothing\",\"input\":{},\"want\":{\"undefined\":true}}\n");
  const Ran passed = run({"policy", "test", "--policy", policy, good});
  EXPECT_EQ(passed.code, kExitOk) << passed.out;
  EXPECT_NE(passed.out.find("5 passed, 0 failed"), std::string::npos);
  const std::string bad =
      file("bad.json", R"([{"kind":"ExecProcessRequest","request":{},"allowed":true}])");
  const Ran failed = run({"policy", "test", "--json", "--policy", policy, bad});
  EXPECT_EQ(failed.code, kExitNegative);
  EXPECT_EQ(failed.out,
            "{\"results\":[{\"ep\":\"ExecProcessRequest\",\"got\":false,\"ok\":false,"
            "\"want\":true}]}\n");
}

TEST_F(PolicyCommands, ExplainNamesTheConditionThatFailed) {
  const std::string policy = file("p.rego", kPolicy);
  const std::string request = file("r.json", R"({"command":"rm"})");
  const Ran ran = run({"policy", "explain", "--policy", policy, "--request", request, "--kind",
                       "ExecProcessRequest"});
  EXPECT_EQ(ran.code, kExitNegative);
  EXPECT_NE(ran.out.find("input.command == \"ls\""), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("left:  \"rm\""), std::string::npos) << ran.out;
}

TEST_F(PolicyCommands, FmtChangesOnlyWhiteSpaceAndIsStable) {
  const std::string path = file(
      "f.rego", "package t\n\n\n\np   if {\n  x :=  \"a  b\"   # c  d\n      x == \"a  b\"\n}\n");
  const std::string want = "package t\n\np if {\n\tx := \"a  b\" # c  d\n\tx == \"a  b\"\n}\n";
  EXPECT_EQ(run({"policy", "fmt", path}).out, want);
  EXPECT_EQ(run({"policy", "fmt", "--write", path}).code, kExitOk);
  EXPECT_EQ(*read_file(path), want);
  EXPECT_EQ(run({"policy", "fmt", path}).out, want);
}

}  // namespace
}  // namespace coffer::cli
