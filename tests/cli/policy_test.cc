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

TEST_F(PolicyCommands, EvalPutsDocumentsBelowTheNamesOfTheirFolders) {
  std::filesystem::create_directories(folder_ / "b" / "x" / "y");
  file("b/x/y/d.yaml", "k: [1]\n");
  file("b/top.json", R"({"n":2})");
  file("b/x/p.rego", "package t\np := data.x.y.k[0] + data.n");
  EXPECT_EQ(run({"policy", "eval", "-d", (folder_ / "b").string(), "-f", "raw", "data.x.y.k"}).out,
            "[1]\n");
  EXPECT_EQ(run({"policy", "eval", "-d", (folder_ / "b").string(), "-f", "raw", "data.t.p"}).out,
            "3\n");
}

TEST_F(PolicyCommands, SaysOfWhatIsNotThereYetThatItIsNot) {
  for (const std::string name : {"generate", "record", "learn"}) {
    const Ran ran = run({"policy", name, "-y", "pod.yaml"});
    EXPECT_EQ(ran.code, kExitError);
    EXPECT_NE(ran.err.find("policy " + name + ": this version cannot do it yet"), std::string::npos)
        << ran.err;
  }
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

// Recorded from genpolicy's own runner: it reads the request as the typed message and knows no
// state.
TEST_F(PolicyCommands, TestReadsGenpolicysCasesFromAFolderAsGenpolicyDoes) {
  const std::string policy = file("p.rego", R"(package agent_policy
UpdateInterfaceRequest if { input.interface.mtu == 0; not input.interface.pciPath }
CopyFileRequest if { input.file_type == "Regular"; input.symlink_target == null }
StartContainerRequest := {"allowed": true, "ops": ops} if {
	not data.pstate[input.container_id]
	ops := [{"op": "add", "path": concat("/", ["/pstate", input.container_id]), "value": 1}]
}
)");
  std::filesystem::create_directories(folder_ / "cases" / "a");
  std::filesystem::create_directories(folder_ / "cases" / "b");
  const std::string start =
      R"({"kind":"StartContainerRequest","description":"again","state":{"c":1},)"
      R"("request":{"container_id":"c"},"allowed":)";
  file("cases/a/testcases.json",
       R"([{"kind":"UpdateInterfaceRequest","description":"defaults","request":{"interface":)"
       R"({"name":"eth0","pciPath":"x"}},"allowed":true},{"kind":"CopyFileRequest",)"
       R"("description":"copy","request":{"file_type":"Regular"},"allowed":true}])");
  file("cases/b/testcases.json", "[" + start + "true}," + start + "false}]");
  const Ran ran = run({"policy", "test", "--policy", policy, (folder_ / "cases").string()});
  EXPECT_EQ(ran.code, kExitOk) << ran.out;
  EXPECT_NE(ran.out.find("4 passed, 0 failed"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("ok   CopyFileRequest copy\n"), std::string::npos) << ran.out;
  EXPECT_NE(ran.err.find("no field 'interface.pciPath' in the API: left out"), std::string::npos);
  const Ran none = run({"policy", "test", "--policy", policy, folder_.string() + "/cases/.."});
  EXPECT_EQ(none.code, kExitOk) << "folders are searched below, too";
}

TEST_F(PolicyCommands, TestTellsAFolderWithoutCasesAndARecordThatIsNone) {
  const std::string policy = file("p.rego", kPolicy);
  std::filesystem::create_directories(folder_ / "empty");
  const Ran empty = run({"policy", "test", "--policy", policy, (folder_ / "empty").string()});
  EXPECT_EQ(empty.code, kExitError);
  EXPECT_NE(empty.err.find("no testcases.json"), std::string::npos) << empty.err;
  const Ran bad =
      run({"policy", "test", "--policy", policy, file("x.jsonl", "\n{\"ep\":\"X\"}\n")});
  EXPECT_EQ(bad.code, kExitError);
  EXPECT_NE(bad.err.find("x.jsonl:2: a record needs"), std::string::npos) << bad.err;
}

TEST_F(PolicyCommands, ExplainShowsEveryRuleThatWasTriedAsATree) {
  const std::string policy = file("p.rego", R"(package agent_policy
default ExecProcessRequest := false
ExecProcessRequest if {
	not forbidden(input.command)
	some i in [1, 2]
	allowed(input.command, i)
}
ExecProcessRequest if input.command == "ls"
forbidden(c) if c == "reboot"
allowed(c, i) if { known(c); c == "ps"; i > 0 }
allowed(c, i) if i > 2
known(c) if count(c) > 0
)");
  const std::string request =
      file("r.json", R"({"ep":"ExecProcessRequest","input":{"command":"rm"}})");
  const Ran ran = run({"policy", "explain", "--policy", policy, "--request", request});
  EXPECT_EQ(ran.code, kExitNegative);
  const std::string want = R"(ExecProcessRequest: did not hold
  - p.rego:6: allowed(input.command, i) (2 times)
      allowed: did not hold (2 times)
        - p.rego:10: allowed(c, i) if { known(c); c == "ps"; i > 0 } (2 times)
            left:  "rm"
            right: "ps"
        - p.rego:11: allowed(c, i) if i > 2 (2 times)
            left:  1
            right: 2
            left:  2
            right: 2
        held: known (2 times)
  - p.rego:8: ExecProcessRequest if input.command == "ls"
      left:  "rm"
      right: "ls"
  did not hold, and need not: forbidden
)";
  EXPECT_NE(ran.out.find(want), std::string::npos) << ran.out;
  const Ran json =
      run({"policy", "explain", "--policy", policy, "--request", request, "--json", "--profile"});
  EXPECT_NE(json.out.find(R"("rule":"data.agent_policy.known")"), std::string::npos) << json.out;
  EXPECT_NE(json.err.find("  data.agent_policy.allowed\n"), std::string::npos) << json.err;
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
