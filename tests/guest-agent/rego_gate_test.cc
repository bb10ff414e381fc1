#include "guest-agent/rego_gate.h"

#include <gtest/gtest.h>

#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

std::unique_ptr<RegoGate> policy(std::string_view rules) {
  auto gate = RegoGate::load("p.rego", "package agent_policy\n" + std::string(rules));
  EXPECT_TRUE(gate) << gate.error().to_string();
  return gate ? *std::move(gate) : nullptr;
}

Result<Verdict> start(RegoGate& gate, const std::string& id) {
  grpc::StartContainerRequest request;
  request.set_container_id(id);
  return gate.evaluate("StartContainerRequest", request);
}

TEST(RegoGate, AllowsAndDeniesByTheRule) {
  const auto gate = policy(
      "default StartContainerRequest := false\n"
      "StartContainerRequest if { print(\"asked for\", input.container_id)\n"
      "  input.container_id == \"good\" }\n");
  EXPECT_TRUE(start(*gate, "good")->allowed);
  const auto denied = start(*gate, "bad");
  ASSERT_TRUE(denied) << denied.error().to_string();
  EXPECT_FALSE(denied->allowed);
  // The rule, the line, what was found and what was wanted, and what the author printed.
  for (const char* part : {"StartContainerRequest", "p.rego:4", "\"bad\"", "\"good\"",
                           "the policy printed: p.rego:3: asked for bad"}) {
    EXPECT_NE(denied->reason.find(part), std::string::npos) << denied->reason;
  }
}

TEST(RegoGate, SaysNothingToTheHostWhenTheTenantWantsIt) {
  const auto gate = policy(
      "DenialDetails := false\n"
      "StartContainerRequest if { print(\"secret\"); input.container_id == \"secret\" }\n"
      "default StartContainerRequest := false\n");
  const auto denied = start(*gate, "bad");
  ASSERT_TRUE(denied);
  EXPECT_FALSE(denied->allowed);
  EXPECT_EQ(denied->reason, "the policy allows no details");
}

TEST(RegoGate, SaysNothingAboutAnErrorEitherWhenTheTenantWantsIt) {
  const std::string text =
      "StartContainerRequest := 1\nStartContainerRequest := 2 if input.container_id\n";
  const auto open = start(*policy(text), "c");
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().message().find("eval_conflict_error"), std::string::npos);
  const auto closed = start(*policy(text + "DenialDetails := false\n"), "c");
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().message(), "the policy allows no details");
}

TEST(RegoGate, TrimsWhatAPolicyPrints) {
  const auto gate = policy(
      "default StartContainerRequest := false\n"
      "StartContainerRequest if { print(input.container_id, \"the end\"); false }\n");
  const auto denied = start(*gate, std::string(100'000, 'x'));
  ASSERT_TRUE(denied);
  EXPECT_LT(denied->reason.size(), 4096U);
  EXPECT_TRUE(denied->reason.ends_with("the end")) << denied->reason;
}

TEST(RegoGate, KeepsTheStateThatAllowedRequestsLeave) {
  const auto gate = policy(
      "default StartContainerRequest := false\n"
      "StartContainerRequest := {\"allowed\": true, \"ops\": [{\"op\": \"add\", \"path\": "
      "\"/pstate/seen\", \"value\": input.container_id}]} if not data.pstate.seen\n");
  EXPECT_TRUE(start(*gate, "first")->allowed);
  const auto second = start(*gate, "second");
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_FALSE(second->allowed);
}

TEST(RegoGate, FailsWhenThereIsNoAnswer) {
  const auto gate = policy("Other := true\n");
  EXPECT_FALSE(start(*gate, "x"));
  EXPECT_FALSE(start(*policy("StartContainerRequest := 3\n"), "x"));
  EXPECT_FALSE(start(*policy("StartContainerRequest := {\"ops\": []}\n"), "x"));
  EXPECT_FALSE(start(*policy("StartContainerRequest := {\"allowed\": true, \"ops\": [{\"op\": "
                             "\"remove\", \"path\": \"/pstate/none\"}]}\n"),
                     "x"))
      << "a patch that does not apply";
}

TEST(RegoGate, ReplacesAPolicyOnlyByOneThatParses) {
  const auto gate = policy("StartContainerRequest := true\n");
  const auto bad = gate->set_policy("package agent_policy\nStartContainerRequest := \n");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(start(*gate, "x")->allowed);
  ASSERT_TRUE(gate->set_policy("package agent_policy\nStartContainerRequest := false\n"));
  EXPECT_FALSE(start(*gate, "x")->allowed);
}

TEST(RegoGate, IsLenientWhenThePolicySaysSo) {
  const auto gate = policy("AllowRequestsFailingPolicy := true\nStartContainerRequest := false\n");
  EXPECT_TRUE(start(*gate, "x")->allowed);
  grpc::GetMetricsRequest request;
  EXPECT_TRUE(gate->evaluate("GetMetricsRequest", request)->allowed);
}

}  // namespace
}  // namespace coffer::agent
