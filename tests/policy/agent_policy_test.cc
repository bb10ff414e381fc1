#include "policy/agent/agent_policy.h"

#include <gtest/gtest.h>

#include "policy/value/json.h"

namespace coffer::policy {
namespace {

constexpr std::string_view kPolicy = R"(package agent_policy

default CreateContainerRequest := {"allowed": false}
default ExecProcessRequest := false
default AllowRequestsFailingPolicy := false

CreateContainerRequest := {"allowed": true, "ops": ops} if {
	not data.pstate[input.container_id]
	some i, container in policy_data.containers
	print("container", i)
	allow_container(container, input)
	ops := [{"op": "add", "path": concat("", ["/pstate/", input.container_id]), "value": i}]
}

allow_container(p, i) if {
	p.image == i.image
	allow_args(p.args, i.args)
}

allow_args(p, i) if {
	count(p) == count(i)
	every k, arg in i { arg == p[k] }
}

RemoveContainerRequest := {"allowed": true, "ops": [{"op": "remove", "path": path}]} if {
	path := concat("", ["/pstate/", input.container_id])
}

Number := 5
Conflict := 1
Conflict := 2 if input.x

policy_data := {"containers": [
	{"image": "busybox", "args": ["sh", "-c", "true"]},
	{"image": "nginx", "args": ["nginx"]},
]}
)";

std::unique_ptr<AgentPolicy> policy() {
  auto loaded = AgentPolicy::load("policy.rego", std::string(kPolicy));
  EXPECT_TRUE(loaded.has_value()) << (loaded ? "" : loaded.error().to_string());
  return std::move(*loaded);
}

Value json(std::string_view text) { return *parse_json(text, "test"); }

TEST(AgentPolicy, AllowsAndKeepsState) {
  auto agent = policy();
  const Value create = json(R"({"container_id":"c1","image":"nginx","args":["nginx"]})");
  EXPECT_TRUE(agent->evaluate("CreateContainerRequest", create).allowed);
  EXPECT_EQ(to_json(agent->data()), R"({"pstate":{"c1":1}})");
  EXPECT_FALSE(agent->evaluate("CreateContainerRequest", create).allowed) << "the id is taken";
  EXPECT_TRUE(agent->evaluate("RemoveContainerRequest", create).allowed);
  EXPECT_EQ(to_json(agent->data()), R"({"pstate":{}})");
  EXPECT_FALSE(agent->evaluate("RemoveContainerRequest", create).allowed)
      << "a patch that does not apply denies";
}

TEST(AgentPolicy, SaysWhichConditionFailedAndWithWhichValues) {
  auto agent = policy();
  const Decision decision =
      agent->evaluate("CreateContainerRequest",
                      json(R"({"container_id":"c1","image":"busybox","args":["sh","-c","evil"]})"));
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(decision.reason,
            "CreateContainerRequest > allow_container > allow_args: policy.rego:22: condition not "
            "met: every k, arg in i { arg == p[k] }: left \"evil\", right \"true\"");
  EXPECT_EQ(decision.prints, "policy.rego:10: container 0 policy.rego:10: container 1");
  EXPECT_EQ(to_json(agent->data()), R"({"pstate":{}})");
}

TEST(AgentPolicy, SaysWhichKeyOfAPathIsMissing) {
  auto agent = AgentPolicy::load("p", R"(package agent_policy
default X := false
X if input.process.user.name == "root"
)");
  ASSERT_TRUE(agent.has_value());
  EXPECT_EQ((*agent)->evaluate("X", json(R"({"process":{"user":null}})")).reason,
            "X: p:3: condition not met: X if input.process.user.name == \"root\": left null, right "
            "\"name\"");
}

TEST(AgentPolicy, DoesNotTakeForTheReasonWhatFailsInANegationOrComprehension) {
  auto agent = AgentPolicy::load("p", R"(package agent_policy
default X := false
X if {
	input.a == 1
	not input.b == 1
	count([v | some v in input.list; v == 7]) == 1
}
)");
  ASSERT_TRUE(agent.has_value());
  const auto reason = [&](std::string_view input) {
    return (*agent)->evaluate("X", json(input)).reason;
  };
  EXPECT_NE(reason(R"({"a":1,"b":2,"list":[3]})").find("p:6: condition not met: count("),
            std::string::npos);
  EXPECT_NE(reason(R"({"a":1,"b":1,"list":[7]})").find("p:5: condition not met: not input.b"),
            std::string::npos);
}

TEST(AgentPolicy, SaysThatThereWasNothingToIterateOver) {
  auto agent = AgentPolicy::load("p", R"(package agent_policy
default X := false
X if { some id, n in data.pstate; id == input.id; n == 1 }
)");
  ASSERT_TRUE(agent.has_value());
  EXPECT_EQ(
      (*agent)->evaluate("X", json("{}")).reason,
      "X: p:3: condition not met: X if { some id, n in data.pstate; id == input.id; n == 1 }: "
      "left {}");
}

TEST(AgentPolicy, DeniesWhatHasNoVerdict) {
  auto agent = policy();
  for (const std::string_view name : {"Unknown", "Number", "Conflict"}) {
    const Decision decision = agent->evaluate(name, json(R"({"x":true})"));
    EXPECT_FALSE(decision.allowed) << name;
    EXPECT_FALSE(decision.failure.empty()) << name;
  }
  EXPECT_FALSE(agent->evaluate("ExecProcessRequest", json("{}")).allowed);
}

TEST(AgentPolicy, DeniesWhenALimitIsReached) {
  AgentPolicyOptions options;
  options.limits.max_steps = 2000;
  auto agent = AgentPolicy::load("p", R"(package agent_policy
X if { count([1 | some a in input; some b in input; a != b]) > 0 }
)",
                                 options);
  ASSERT_TRUE(agent.has_value());
  std::string many = "[0";
  for (int i = 1; i < 300; ++i) many += "," + std::to_string(i);
  const Decision decision = (*agent)->evaluate("X", json(many + "]"));
  EXPECT_FALSE(decision.allowed);
  EXPECT_NE(decision.failure.find("more than 2000 steps"), std::string::npos) << decision.failure;
}

TEST(AgentPolicy, RefusesATextThatDoesNotCompileWithPlaceAndCaret) {
  const auto bad = AgentPolicy::load("policy.rego", "package agent_policy\n\nx := y if true\n");
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().message(),
            "policy.rego:3:6: rego_unsafe_var_error: var y is unsafe\n\tx := y if true\n\t     ^");
}

}  // namespace
}  // namespace coffer::policy
