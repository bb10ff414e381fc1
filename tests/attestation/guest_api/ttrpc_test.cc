// The ttrpc services as a client of CoCo's sees them, on real Unix sockets.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "attestation/guest_api/ttrpc_services.h"
#include "attestation/guest_api/unix_server.h"
#include "base/fd.h"
#include "rpc/protos/attestation_agent.pb.h"
#include "rpc/protos/confidential_data_hub.pb.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/typed.h"
#include "tests/attestation/guest_api/fake_backend.h"
#include "tests/base/run_task.h"

namespace coffer::guest_api {
namespace {

namespace aa = attestation_agent;
namespace fs = std::filesystem;

Fd connect_to(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  check(::connect(fd.get(), generic, sizeof address) == 0, "connect to the service");
  return fd;
}

class GuestTtrpc : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-ttrpc-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    settings_.socket = folder_ / "made" / "api.sock";
    settings_.authorize = allow_all;
    settings_.add_services = [](rpc::Router& router, Backend& backend) {
      add_attestation_agent(router, backend, Bytes(48, 7));
      add_data_hub(router, backend);
    };
  }
  void TearDown() override { fs::remove_all(folder_); }

  template <typename Response, typename Request>
  Result<Response> call(const char* service, const char* method, const Request& request) {
    return run_task<Result<Response>>(
        [&](asio::any_io_executor executor) -> Task<Result<Response>> {
          UnixServer server(executor, backend_, settings_);
          const Status started = server.start();
          check(started.has_value(), "start the service");
          rpc::Client client(executor, connect_to(settings_.socket));
          auto answer = co_await rpc::call<Response>(client, service, method, request);
          client.close();
          co_await server.close();
          co_return answer;
        });
  }
  template <typename Response, typename Request>
  Result<Response> agent(const char* method, const Request& request) {
    return call<Response>("attestation_agent.AttestationAgentService", method, request);
  }

  fs::path folder_;
  FakeBackend backend_;
  UnixSettings settings_;
};

TEST_F(GuestTtrpc, UnsealsASecret) {
  api::UnsealSecretInput request;
  request.set_secret("sealed.a.b.c");
  const auto answer =
      call<api::UnsealSecretOutput>("api.SealedSecretService", "UnsealSecret", request);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->plaintext(), "opened");
  EXPECT_EQ(backend_.asked, "sealed.a.b.c");
}

TEST_F(GuestTtrpc, GivesAResourceByUriAndByPath) {
  for (const char* name : {"kbs:///a/b/c", "a/b/c"}) {
    api::GetResourceRequest request;
    request.set_resourcepath(name);
    const auto answer =
        call<api::GetResourceResponse>("api.GetResourceService", "GetResource", request);
    ASSERT_TRUE(answer) << answer.error().to_string();
    EXPECT_EQ(answer->resource(), std::string("a\0b", 3));
    EXPECT_EQ(backend_.asked, "resource/a/b/c");
  }
  api::GetResourceRequest request;
  request.set_resourcepath("../c");
  const auto refused =
      call<api::GetResourceResponse>("api.GetResourceService", "GetResource", request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
}

TEST_F(GuestTtrpc, GivesEvidenceTokenAndTee) {
  aa::GetEvidenceRequest evidence;
  evidence.set_runtimedata("\x01\x02");
  EXPECT_EQ(agent<aa::GetEvidenceResponse>("GetEvidence", evidence)->evidence(), "{\"e\":1}");
  EXPECT_EQ(backend_.asked, "0102");
  evidence.set_runtimedata(std::string(65, 'x'));
  EXPECT_EQ(agent<aa::GetEvidenceResponse>("GetEvidence", evidence).error().code(),
            Code::kInvalidArgument);
  aa::GetTokenRequest token;
  token.set_tokentype("kbs");
  EXPECT_EQ(agent<aa::GetTokenResponse>("GetToken", token)->token(), "{}");
  EXPECT_EQ(agent<aa::GetTeeTypeResponse>("GetTeeType", aa::GetTeeTypeRequest())->tee(), "snp");
  EXPECT_EQ(
      agent<aa::GetAdditionalTeesResponse>("GetAdditionalTees", aa::GetAdditionalTeesRequest())
          ->additional_tees_size(),
      0);
  aa::GetAdditionalEvidenceRequest additional;
  additional.set_runtimedata("x");
  EXPECT_EQ(agent<aa::GetEvidenceResponse>("GetAdditionalEvidence", additional)->evidence(), "");
}

TEST_F(GuestTtrpc, SaysWhetherAnEventWasMeasured) {
  aa::ExtendRuntimeMeasurementRequest request;
  request.set_domain("d");
  request.set_operation("o");
  request.set_content("c d");
  const auto extend = [&] {
    return agent<aa::ExtendRuntimeMeasurementResponse>("ExtendRuntimeMeasurement", request);
  };
  EXPECT_EQ(extend()->result(), aa::OK);
  EXPECT_EQ(backend_.asked, "d|o|c d");
  backend_.error = Error(Code::kUnimplemented, "no registers");
  EXPECT_EQ(extend()->result(), aa::NOT_SUPPORTED);
  backend_.error = Error(Code::kUnavailable, "busy");
  EXPECT_EQ(extend().error().code(), Code::kUnavailable);
  request.set_operation("o p");
  EXPECT_EQ(extend().error().code(), Code::kInvalidArgument);
}

TEST_F(GuestTtrpc, BindsOnlyTheInitdataItHas) {
  aa::BindInitDataRequest request;
  request.set_digest(std::string(48, 7));
  EXPECT_TRUE(agent<aa::BindInitDataResponse>("BindInitData", request));
  request.set_digest(std::string(48, 8));
  const auto other = agent<aa::BindInitDataResponse>("BindInitData", request);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), Code::kPermissionDenied);
  settings_.add_services = [](rpc::Router& router, Backend& backend) {
    add_attestation_agent(router, backend, {});
  };
  request.clear_digest();
  EXPECT_EQ(agent<aa::BindInitDataResponse>("BindInitData", request).error().code(),
            Code::kFailedPrecondition);
}

TEST_F(GuestTtrpc, NamesWhatItHasNot) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"api.SecureMountService", "SecureMount", "encrypted volumes"},
      {"api.ImagePullService", "PullImage", "pulling images"},
      {"keyprovider.KeyProviderService", "UnWrapKey", "encrypted images"},
      {"keyprovider.KeyProviderService", "WrapKey", "wrapping keys"},
  };
  for (const auto& [service, method, what] : cases) {
    const auto answer = call<api::SecureMountResponse>(service, method, api::SecureMountRequest());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Code::kUnimplemented);
    EXPECT_NE(answer.error().to_string().find(what), std::string::npos)
        << answer.error().to_string();
  }
}

TEST_F(GuestTtrpc, TellsWhoAsksAndPassesTheRefusalOn) {
  std::vector<Access> asked;
  settings_.authorize = [&](Access access) -> Task<Status> {
    asked.push_back(std::move(access));
    co_return fail(Code::kPermissionDenied, "not for you");
  };
  api::UnsealSecretInput request;
  const auto refused =
      call<api::UnsealSecretOutput>("api.SealedSecretService", "UnsealSecret", request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message(), "not for you");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].rule, "UnsealSecretRequest");
  EXPECT_EQ(asked[0].caller.pid, ::getpid());
  EXPECT_EQ(asked[0].caller.port, 0);
}

TEST_F(GuestTtrpc, TakesAFormerServersPlaceForRootOnly) {
  fs::create_directories(settings_.socket.parent_path());
  ASSERT_TRUE(write_file(settings_.socket, "left over"));
  EXPECT_TRUE(agent<aa::GetTeeTypeResponse>("GetTeeType", aa::GetTeeTypeRequest()));
  EXPECT_EQ(fs::status(settings_.socket).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  settings_.socket = folder_ / std::string(120, 'x');
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    UnixServer server(executor, backend_, settings_);
    const Status started = server.start();
    EXPECT_FALSE(started);
    co_await server.close();
  });
}

}  // namespace
}  // namespace coffer::guest_api
