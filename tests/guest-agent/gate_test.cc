// Every method of the agent's service is registered, and none answers before the gate has spoken.
#include "guest-agent/gate.h"

#include <gtest/gtest.h>

#include <set>

#include "guest-agent/modules.h"
#include "guest-agent/registrar.h"
#include "guest-agent/server.h"
#include "rpc/protos/agent.pb.h"
#include "tests/base/run_task.h"

namespace coffer::agent {
namespace {

// Denies everything and remembers what it was asked.
class DenyAll final : public PolicyGate {
 public:
  Result<Verdict> evaluate(std::string_view entry_point,
                           const google::protobuf::Message& /*request*/) override {
    asked.emplace_back(entry_point);
    if (allow) return Verdict{.allowed = true, .reason = {}};
    if (broken) return fail(Code::kUnknown, "rule is undefined");
    return Verdict{.allowed = false, .reason = "p.rego:1: no"};
  }
  Status set_policy(std::string_view /*text*/) override { return {}; }
  [[nodiscard]] std::string_view name() const override { return "deny-all"; }

  std::vector<std::string> asked;
  bool broken = false;
  bool allow = false;
};

struct World {
  explicit World(const asio::any_io_executor& executor, SandboxSettings settings = {})
      : sandbox(executor, std::move(settings), modules, nullptr, {}),
        router(make_router(gate, sandbox)) {}

  Task<Result<std::string>> call(std::string method, std::string payload = "") {
    rpc::CallContext context;
    context.service = "grpc.AgentService";
    context.method = method;
    const auto* found = router.find(context.service, method);
    if (found == nullptr || !found->unary) co_return fail(Code::kUnimplemented, "not registered");
    rpc::Payload request(std::move(payload));
    co_return co_await found->unary(std::move(context), std::move(request));
  }

  DenyAll policy;
  Gate gate{policy, {}};
  Modules modules{"/nonexistent"};
  Sandbox sandbox;
  rpc::Router router;
};

const google::protobuf::ServiceDescriptor& service() {
  return *grpc::CreateSandboxRequest::descriptor()->file()->FindServiceByName("AgentService");
}

// Refused before the gate when it cannot be done, whoever asks.
bool may_be_impossible(const std::string& method) {
  return method == "CreateContainer" || method == "RemoveContainer";
}

TEST(Gate, StandsBeforeEveryMethodOfTheService) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    World world(executor);
    EXPECT_EQ(service().method_count(), 42);
    for (int i = 0; i < service().method_count(); ++i) {
      const auto& method = *service().method(i);
      if (may_be_impossible(method.name())) continue;
      const auto answer = co_await world.call(method.name());
      EXPECT_FALSE(answer) << method.name();
      if (answer) continue;
      EXPECT_EQ(answer.error().code(), Code::kPermissionDenied) << method.name();
      EXPECT_EQ(answer.error().message(),
                "\"" + method.input_type()->name() + " is blocked by policy: p.rego:1: no\"");
      EXPECT_EQ(world.policy.asked.back(), method.input_type()->name());
    }
    EXPECT_EQ(world.policy.asked.size(), static_cast<std::size_t>(service().method_count() - 2));
    co_await world.sandbox.scope().close();
  });
}

// Kata's policy takes the id of whatever is removed off its state: that of a container, and of the
// names that it has pinned.
TEST(Gate, DoesNotHearOfContainersThatCannotBe) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    World world(executor);
    grpc::RemoveContainerRequest remove;
    remove.set_container_id("network_namespace");
    const auto removed = co_await world.call("RemoveContainer", remove.SerializeAsString());
    EXPECT_EQ(removed.error().code(), Code::kInternal);
    grpc::CreateContainerRequest create;
    create.set_container_id("c1");
    const auto created = co_await world.call("CreateContainer", create.SerializeAsString());
    EXPECT_EQ(created.error().message(), "create container: there is no sandbox");
    EXPECT_TRUE(world.policy.asked.empty());
    co_await world.sandbox.scope().close();
  });
}

TEST(Gate, HearsOfWhatIsPossible) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    World world(executor);
    rpc::Router router;
    bool possible = true;
    Registrar(router, world.gate)
        .add<grpc::RemoveContainerRequest, grpc::OOMEvent>(
            "RemoveContainer",
            [](Authorized<grpc::RemoveContainerRequest> /*request*/)
                -> Task<Result<grpc::OOMEvent>> { co_return grpc::OOMEvent(); },
            [&](const grpc::RemoveContainerRequest& /*request*/) -> Status {
              if (possible) return {};
              return fail(Code::kNotFound, "no such thing");
            });
    const auto* method = router.find("grpc.AgentService", "RemoveContainer");
    const auto denied = co_await method->unary(rpc::CallContext(), rpc::Payload());
    EXPECT_EQ(denied.error().code(), Code::kPermissionDenied);
    EXPECT_EQ(world.policy.asked.size(), 1U);
    possible = false;
    const auto refused = co_await method->unary(rpc::CallContext(), rpc::Payload());
    EXPECT_EQ(refused.error().code(), Code::kNotFound);
    EXPECT_EQ(world.policy.asked.size(), 1U);
    co_await world.sandbox.scope().close();
  });
}

TEST(Gate, RegistersNothingThatTheServiceDoesNotHave) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    World world(executor);
    for (const auto& [name, method] : world.router.list()) {
      if (name == "grpc.Health") continue;
      EXPECT_EQ(name, "grpc.AgentService");
      EXPECT_NE(service().FindMethodByName(method), nullptr) << method;
    }
    EXPECT_TRUE(world.router.knows("grpc.Health", "Check"));
    EXPECT_TRUE(world.router.knows("grpc.Health", "Version"));
    co_await world.sandbox.scope().close();
  });
}

TEST(Gate, DeniesWhenThePolicyCannotBeEvaluated) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    World world(executor);
    world.policy.broken = true;
    const auto answer = co_await world.call("GetMetrics");
    EXPECT_FALSE(answer);
    if (!answer) {
      EXPECT_EQ(answer.error().code(), Code::kInternal);
      EXPECT_EQ(answer.error().message(),
                "\"GetMetricsRequest: internal error rule is undefined\"");
    }
    co_await world.sandbox.scope().close();
  });
}

// The policy may allow it: the host would read the guest's memory.
TEST(Gate, SwapIsRefusedInATeeWhateverThePolicySays) {
  run_void([](asio::any_io_executor executor) -> Task<void> {
    for (const char* tee : {"snp", "tdx"}) {
      SandboxSettings settings;
      settings.tee = tee;
      World world(executor, std::move(settings));
      world.policy.allow = true;
      grpc::AddSwapPathRequest path;
      path.set_path("/nonexistent/swap");
      for (const auto& [method, payload] : {std::pair{"AddSwap", std::string()},
                                            std::pair{"AddSwapPath", path.SerializeAsString()}}) {
        const auto answer = co_await world.call(method, payload);
        EXPECT_FALSE(answer) << method;
        if (answer) continue;
        EXPECT_EQ(answer.error().code(), Code::kFailedPrecondition) << method;
        EXPECT_NE(answer.error().message().find("runs in a TEE"), std::string::npos)
            << answer.error().message();
      }
      co_await world.sandbox.scope().close();
    }
    World plain(executor);
    plain.policy.allow = true;
    grpc::AddSwapPathRequest path;
    path.set_path("/nonexistent/swap");
    const auto answer = co_await plain.call("AddSwapPath", path.SerializeAsString());
    EXPECT_FALSE(answer);
    if (!answer) {
      EXPECT_NE(answer.error().message().find("swap on"), std::string::npos);
    }
    co_await plain.sandbox.scope().close();
  });
}

}  // namespace
}  // namespace coffer::agent
