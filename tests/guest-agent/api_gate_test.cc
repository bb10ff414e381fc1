// Which container asks the guest's APIs, and what the policy lets it have.
#include "guest-agent/api_gate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "guest-agent/api_caller.h"
#include "guest-agent/rego_gate.h"
#include "rpc/protos/guest_api_gate.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:1F46 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "100 1 0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:1F46 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 "
    "101 1 0000000000000000 20 4 30 10 -1\n"
    "   2: 0100007F:C350 0100007F:1F46 01 00000000:00000000 00:00000000 00000000  1000        0 "
    "102 1 0000000000000000 20 4 30 10 -1\n"
    "   3: 0100007F:C351 0200000A:1F46 01 00000000:00000000 00:00000000 00000000  1000        0 "
    "103 1 0000000000000000 20 4 30 10 -1\n"
    "   4: 0100007F:C352 0100007F:1F46 06 00000000:00000000 03:00000C00 00000000     0        0 "
    "0 3 0000000000000000\n";

TEST(FindSocket, FindsTheCallersEndAlone) {
  EXPECT_EQ(find_socket(kTable, 50000, 8006), 102U);
  EXPECT_FALSE(find_socket(kTable, 50001, 8006)) << "connected to another address";
  EXPECT_FALSE(find_socket(kTable, 50002, 8006)) << "nobody holds it any more";
  EXPECT_FALSE(find_socket(kTable, 50003, 8006));
  EXPECT_FALSE(find_socket(kTable, 50000, 8007));
  EXPECT_EQ(find_socket("   0: 0000000000000000FFFF00000100007F:C350 "
                        "0000000000000000FFFF00000100007F:1F46 01 00000000:00000000 00:00000000 "
                        "00000000 0 0 104 1",
                        50000, 8006),
            104U);
  // Found before the caller whose port it has taken.
  EXPECT_EQ(find_socket("0: 0200007F:C350 0100007F:1F46 01 a b c 0 0 105 1\n" + std::string(kTable),
                        50000, 8006),
            102U);
  for (const char* odd : {"", "\n\n", "x", "0: 0100007F:C350 0100007F:1F46",
                          "0: 0100007F:C350 0100007F:1F46 01 a b c d e -1"}) {
    EXPECT_FALSE(find_socket(odd, 50000, 8006)) << odd;
  }
}

// A connection to a listener on loopback, both ends ours.
struct Connection {
  Connection() {
    listener = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    check(::bind(listener.get(), generic, size) == 0 && ::listen(listener.get(), 1) == 0 &&
              ::getsockname(listener.get(), generic, &size) == 0,
          "listen");
    server_port = ntohs(address.sin_port);
    client = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check(::connect(client.get(), generic, size) == 0 &&
              ::getsockname(client.get(), generic, &size) == 0,
          "connect");
    port = ntohs(address.sin_port);
  }
  Fd listener, client;
  std::uint16_t server_port = 0, port = 0;
};

class Caller : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "coffer-caller-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  // A cgroup's directory with these processes.
  fs::path cgroup(const std::string& name, const std::string& processes) {
    fs::create_directories(folder_ / name);
    EXPECT_TRUE(write_file(folder_ / name / "cgroup.procs", processes));
    return folder_ / name;
  }

  fs::path folder_;
  std::string self_ = std::to_string(::getpid()) + "\n";
};

TEST_F(Caller, IsTheContainerWhoseProcessHoldsTheSocket) {
  const Connection connection;
  const CgroupDirectories cgroups{{"other", cgroup("other", "1\n")},
                                  {"ours", cgroup("ours", self_)}};
  EXPECT_EQ(find_caller(connection.port, connection.server_port, cgroups).value(), "ours");
}

TEST_F(Caller, MayBeInACgroupBelow) {
  const Connection connection;
  cgroup("ours/deep/deeper", self_);
  const CgroupDirectories cgroups{{"ours", cgroup("ours", "")}};
  EXPECT_EQ(find_caller(connection.port, connection.server_port, cgroups).value(), "ours");
}

TEST_F(Caller, IsNobodyWhenItCannotBeTold) {
  Connection connection;
  const auto find = [&](const CgroupDirectories& cgroups) {
    return find_caller(connection.port, connection.server_port, cgroups);
  };
  EXPECT_EQ(find({}).error().code(), Code::kPermissionDenied);
  EXPECT_EQ(find({{"other", cgroup("other", "1\n")}}).error().code(), Code::kPermissionDenied);
  const auto both = find({{"a", cgroup("a", self_)}, {"b", cgroup("b", self_)}});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().message(), "containers 'a' and 'b' hold the same connection");
  connection.client.reset();
  EXPECT_EQ(find({{"a", cgroup("a", self_)}}).error().code(), Code::kPermissionDenied);
}

class ApiGateTest : public Caller {
 protected:
  // The socket table that the kernel would show, with a caller on port 50000 that is us.
  void SetUp() override {
    Caller::SetUp();
    fs::create_directories(folder_ / "proc/net");
    fs::create_directories(folder_ / "proc/7/fd");
    ASSERT_TRUE(write_file(folder_ / "proc/net/tcp", kTable));
    fs::create_symlink("socket:[102]", folder_ / "proc/7/fd/3");
    cgroup("cgroup/web", "7\n");
    cgroup("cgroup/db", "8\n");
  }
  Status ask(std::string_view policy, const std::string& rule, std::uint32_t port = 50000,
             int pid = 0) {
    auto gate =
        RegoGate::load("test.rego", "package agent_policy\nimport rego.v1\n" + std::string(policy));
    check(gate.has_value(), "load the policy");
    const ApiGate api(
        **gate,
        [this] {
          ApiContainers out;
          for (const char* name : {"web", "db"})
            out[std::string(name) + "-id"] =
                ApiContainer{.cgroup = folder_ / "cgroup" / name,
                             .annotations = {{"io.kubernetes.cri.container-name", name}}};
          return out;
        },
        folder_ / "proc");
    gate::AuthorizeRequest request;
    request.set_peer_port(port);
    request.set_peer_pid(pid);
    request.set_rule(rule);
    request.mutable_request()->set_resource("kbs:///default/key/1");
    request.mutable_request()->set_token_type("kbs");
    return api.authorize(std::move(request));
  }
};

TEST_F(ApiGateTest, LetsEveryoneAskWhereThePolicyDoesNotSpeakOfIt) {
  EXPECT_TRUE(ask("default CreateContainerRequest := true", "GetResourceRequest"));
  EXPECT_TRUE(ask("", "GetTokenRequest", 0, 4711)) << "nobody needs to be told apart";
  EXPECT_EQ(ask("", "CreateContainerRequest").error().code(), Code::kInvalidArgument);
}

TEST_F(ApiGateTest, AsksThePolicyWithTheContainersName) {
  const char* policy = R"(
default GetResourceRequest := false
GetResourceRequest if {
  input.container_name == "web"
  input.container_id == "web-id"
  input.annotations["io.kubernetes.cri.container-name"] == "web"
  input.resource == "kbs:///default/key/1"
}
)";
  const auto allowed = ask(policy, "GetResourceRequest");
  EXPECT_TRUE(allowed) << allowed.error().to_string();
  const auto refused = ask("default GetResourceRequest := false", "GetResourceRequest");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kPermissionDenied);
  EXPECT_TRUE(refused.error().message().starts_with("GetResourceRequest is blocked by policy: "))
      << refused.error().message();
}

// A token, or evidence of one's own, opens what the resource's rule keeps shut.
TEST_F(ApiGateTest, RefusesTheOtherRequestsOnceOneHasARule) {
  const char* policy = "default GetResourceRequest := true";
  EXPECT_TRUE(ask(policy, "GetResourceRequest"));
  for (const char* rule : {"GetTokenRequest", "GetEvidenceRequest", "UnsealSecretRequest",
                           "ExtendRuntimeMeasurementRequest"}) {
    const auto refused = ask(policy, rule);
    ASSERT_FALSE(refused) << rule;
    EXPECT_EQ(refused.error().code(), Code::kPermissionDenied) << rule;
  }
  EXPECT_TRUE(ask("GetTokenRequest if input.token_type == \"kbs\"", "GetTokenRequest"));
}

TEST_F(ApiGateTest, RefusesWhomItCannotName) {
  const char* policy = "default GetResourceRequest := true\ndefault UnsealSecretRequest := true";
  EXPECT_EQ(ask(policy, "GetResourceRequest", 50003).error().code(), Code::kPermissionDenied);
  const auto unix_peer = ask(policy, "UnsealSecretRequest", 0, 4711);
  ASSERT_FALSE(unix_peer);
  EXPECT_NE(unix_peer.error().message().find("Unix socket"), std::string::npos);
  // The agent's own question belongs to a request that was allowed.
  EXPECT_TRUE(ask(policy, "UnsealSecretRequest", 0, ::getpid()));
}

}  // namespace
}  // namespace coffer::agent
