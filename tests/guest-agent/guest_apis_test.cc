// What coffer-attester serves, and whom it asks first.
#include "guest-agent/attester/guest_apis.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "rpc/protos/attestation_agent.pb.h"
#include "rpc/protos/confidential_data_hub.pb.h"
#include "rpc/protos/guest_api_gate.pb.h"
#include "rpc/ttrpc/server.h"
#include "rpc/ttrpc/typed.h"
#include "tests/attestation/guest_api/fake_backend.h"
#include "tests/base/run_task.h"
#include "tests/guest-agent/agent_client.h"
#include "tests/rpc/peer.h"

namespace coffer::attester {
namespace {

namespace fs = std::filesystem;

TEST(GuestApiSettings, FollowTheAgentsSettings) {
  const auto settings = [](const char* components, const char* rest_api) {
    ServeSettings serve;
    serve.components = components;
    serve.rest_api = rest_api;
    return guest_api_settings(serve);
  };
  const auto none = settings("none", "resource");
  EXPECT_FALSE(none->attestation_agent || none->data_hub || none->rest);
  const auto hub = settings("confidential-data-hub", "resource");
  EXPECT_TRUE(hub->attestation_agent && hub->data_hub && !hub->rest);
  const auto rest = settings("api-server-rest", "resource");
  EXPECT_TRUE(rest->rest && rest->features.resource && !rest->features.attestation);
  EXPECT_TRUE(settings("api-server-rest", "all")->features.attestation);
  EXPECT_FALSE(settings("api-server-rest", "attestation")->features.resource);
  EXPECT_FALSE(settings("everything", "resource"));
  EXPECT_FALSE(settings("none", "everything"));
}

class GuestApisTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-apis-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    serve_.sockets = pattern;
    serve_.port = 0;
  }
  void TearDown() override { fs::remove_all(serve_.sockets); }

  // Asks the hub for a resource while the agent answers `allow`.
  Result<api::GetResourceResponse> get_resource(bool allow) {
    auto pair = rpc::socket_pair();
    serve_.gate_fd = pair.ours.release();
    return run_task<Result<api::GetResourceResponse>>(
        [&](asio::any_io_executor executor) -> Task<Result<api::GetResourceResponse>> {
          rpc::Router router;
          rpc::add<gate::AuthorizeRequest, gate::AuthorizeResponse>(
              router, "coffer.gate.GuestApiGate", "Authorize",
              [&](rpc::CallContext /*context*/,
                  gate::AuthorizeRequest request) -> Task<Result<gate::AuthorizeResponse>> {
                asked_.push_back(std::move(request));
                if (allow) co_return gate::AuthorizeResponse();
                co_return fail(Code::kPermissionDenied, "not for you");
              });
          rpc::Server agent(executor, std::move(router));
          agent.serve(std::move(pair.theirs));
          auto settings = guest_api_settings(serve_);
          GuestApis apis(executor, backend_, *std::move(settings));
          const Status started = apis.start();
          check(started.has_value(), "start the APIs");
          rpc::Client client(executor, agent::connect_unix(serve_.sockets / "cdh.sock"));
          api::GetResourceRequest request;
          request.set_resourcepath("kbs:///a/b/c");
          auto answer = co_await rpc::call<api::GetResourceResponse>(
              client, "api.GetResourceService", "GetResource", request);
          client.close();
          co_await apis.close();
          co_await agent.shutdown();
          co_return answer;
        });
  }

  ServeSettings serve_;
  guest_api::FakeBackend backend_;
  std::vector<gate::AuthorizeRequest> asked_;
};

TEST_F(GuestApisTest, AskTheAgentBeforeTheyGive) {
  const auto answer = get_resource(true);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(backend_.asked, "resource/a/b/c");
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].rule(), "GetResourceRequest");
  EXPECT_EQ(asked_[0].request().resource(), "kbs:///a/b/c");
  EXPECT_EQ(asked_[0].peer_pid(), ::getpid());
}

TEST_F(GuestApisTest, GiveNothingWhenTheAgentRefuses) {
  const auto refused = get_resource(false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message(), "not for you");
  EXPECT_EQ(backend_.asked, "");
}

TEST_F(GuestApisTest, GiveNothingWhenTheAgentIsGone) {
  auto pair = rpc::socket_pair();
  serve_.gate_fd = pair.ours.release();
  pair.theirs.reset();
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    auto settings = guest_api_settings(serve_);
    GuestApis apis(executor, backend_, *std::move(settings));
    const Status started = apis.start();
    check(started.has_value(), "start the APIs");
    rpc::Client client(executor, agent::connect_unix(serve_.sockets / "attestation-agent" /
                                                     "attestation-agent.sock"));
    attestation_agent::GetTokenRequest request;
    request.set_tokentype("kbs");
    const auto answer = co_await rpc::call<attestation_agent::GetTokenResponse>(
        client, "attestation_agent.AttestationAgentService", "GetToken", request);
    EXPECT_FALSE(answer);
    EXPECT_EQ(backend_.asked, "");
    client.close();
    co_await apis.close();
  });
}

// Nobody could say which container may have what.
TEST_F(GuestApisTest, GiveNothingWithoutAnAgentToAsk) {
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    auto settings = guest_api_settings(serve_);
    GuestApis apis(executor, backend_, *std::move(settings));
    const Status started = apis.start();
    check(started.has_value(), "start the APIs");
    rpc::Client client(executor, agent::connect_unix(serve_.sockets / "cdh.sock"));
    api::GetResourceRequest request;
    request.set_resourcepath("kbs:///a/b/c");
    const auto answer = co_await rpc::call<api::GetResourceResponse>(
        client, "api.GetResourceService", "GetResource", request);
    EXPECT_FALSE(answer);
    if (!answer) {
      EXPECT_EQ(answer.error().code(), Code::kPermissionDenied);
      EXPECT_NE(answer.error().message().find("GATE-FD"), std::string::npos);
    }
    EXPECT_EQ(backend_.asked, "");
    client.close();
    co_await apis.close();
  });
}

}  // namespace
}  // namespace coffer::attester
