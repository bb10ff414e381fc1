#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "attestation/guest_api/kbs_backend.h"
#include "attestation/guest_api/rest_server.h"
#include "tests/attestation/client/trustee.h"
#include "tests/attestation/guest_api/fake_backend.h"
#include "tests/base/run_task.h"

namespace coffer::guest_api {
namespace {

using Json = nlohmann::json;

// A container's end of a connection; everything that is asked, then everything that is answered.
Task<std::string> exchange(std::uint16_t port, std::string text, in_addr_t from = INADDR_LOOPBACK) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(from);
  check(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
        "connect to the server");
  check(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()),
        "send to the server");
  ::shutdown(socket.get(), SHUT_WR);
  std::string out;
  std::array<char, 4096> chunk{};
  for (;;) {
    const auto ready = co_await wait_readable(socket.get());
    check(ready.has_value(), "wait for the server");
    const auto count = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (count <= 0) co_return out;
    out.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

class Rest : public testing::Test {
 protected:
  std::string ask(std::string text, in_addr_t from = INADDR_LOOPBACK) {
    return run_task<std::string>([&](asio::any_io_executor executor) -> Task<std::string> {
      RestServer server(executor, backend_, settings_);
      const auto started = server.start();
      check(started.has_value(), "start the server");
      std::string out = co_await exchange(server.port(), std::move(text), from);
      co_await server.close();
      co_return out;
    });
  }
  std::string get(std::string_view target, std::string_view method = "GET") {
    return ask(fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1:8006\r\n\r\n", method, target));
  }
  static int status_of(const std::string& reply) { return std::stoi(reply.substr(9, 3)); }
  static std::string body_of(const std::string& reply) {
    return reply.substr(reply.find("\r\n\r\n") + 4);
  }

  FakeBackend backend_;
  RestSettings settings_{
      .port = 0, .features = {.resource = true, .attestation = true}, .authorize = allow_all};
};

TEST_F(Rest, GivesAResourcesBytes) {
  const auto reply = get("/cdh/resource/default/key/1");
  EXPECT_TRUE(
      reply.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"
                        "content-length: 3\r\n"))
      << reply;
  EXPECT_EQ(body_of(reply), std::string("a\0b", 3));
  EXPECT_EQ(backend_.asked, "resource/default/key/1");
}

TEST_F(Rest, GivesTokenEvidenceAndInfo) {
  EXPECT_EQ(status_of(get("/aa/token?token_type=kbs")), 200);
  EXPECT_EQ(backend_.asked, "kbs");
  EXPECT_EQ(body_of(get("/aa/evidence?runtime_data=a%20b+c")), "{\"e\":1}");
  EXPECT_EQ(backend_.asked, to_hex(as_bytes("a b c")));
  EXPECT_EQ(status_of(get("/aa/evidence?runtime_data=AQI%3D&encoding=base64")), 200);
  EXPECT_EQ(backend_.asked, "0102");
  EXPECT_EQ(body_of(get("/aa/additional-evidence?runtime_data=x")), "");
  EXPECT_EQ(Json::parse(body_of(get("/info"))),
            (Json{{"version", COFFER_VERSION}, {"tee", "snp"}, {"feature", "all"}}));
}

TEST_F(Rest, MeasuresAnEvent) {
  const std::string body = R"({"domain":"d","operation":"o","content":"c d"})";
  const auto reply = ask(fmt::format(
      "POST /aa/aael HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  EXPECT_EQ(body_of(reply), R"({"success":"true"})");
  EXPECT_EQ(backend_.asked, "d|o|c d");
}

struct BadRequest {
  const char* target;
  int status;
};

TEST_F(Rest, RefusesWhatItDoesNotServe) {
  const BadRequest cases[] = {
      {"/", 404},
      {"/cdh/resource/a/b", 400},
      {"/cdh/resource/a/b/../c", 400},
      {"/cdh/resource/a/b/%2e%2e", 400},
      {"/cdh/resource/a/b/c/d", 400},
      {"/aa/token", 400},
      {"/aa/evidence", 400},
      {"/aa/evidence?runtime_data=", 400},
      {"/aa/evidence?runtime_data=AQI&encoding=hex", 400},
      {"/aa/evidence?runtime_data=a&runtime_data=b", 400},
      {"/aa/evidence?runtime_data=%zz", 400},
      {"/aa/aael", 405},
      {"http://x/", 400},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(status_of(get(test.target)), test.status) << test.target;
  }
  EXPECT_EQ(backend_.asked, "");
  EXPECT_EQ(status_of(get("/cdh/resource/a/b/c", "DELETE")), 405);
  EXPECT_EQ(status_of(get("/aa/evidence?runtime_data=" + std::string(65, 'a'))), 400);
  EXPECT_EQ(status_of(get("/aa/evidence?runtime_data=" + std::string(64, 'a'))), 200);
}

TEST_F(Rest, ServesOnlyTheFeaturesThatAreOn) {
  settings_.features = {.resource = true, .attestation = false};
  EXPECT_EQ(status_of(get("/aa/token?token_type=kbs")), 404);
  EXPECT_EQ(status_of(get("/cdh/resource/a/b/c")), 200);
  settings_.features = {.resource = false, .attestation = true};
  EXPECT_EQ(status_of(get("/cdh/resource/a/b/c")), 404);
}

TEST_F(Rest, PassesTheReasonOn) {
  const std::pair<Code, int> cases[] = {{Code::kNotFound, 404},
                                        {Code::kPermissionDenied, 403},
                                        {Code::kUnimplemented, 501},
                                        {Code::kUnavailable, 500}};
  for (const auto& [code, status] : cases) {
    backend_.error = Error(code, "because");
    const auto reply = get("/cdh/resource/a/b/c");
    EXPECT_EQ(status_of(reply), status);
    EXPECT_EQ(body_of(reply), "because\n");
  }
}

TEST_F(Rest, AsksWhetherTheCallerMayHaveIt) {
  std::vector<Access> asked;
  bool allow = true;
  settings_.authorize = [&](Access access) -> Task<Status> {
    asked.push_back(std::move(access));
    if (allow) co_return Status{};
    co_return fail(Code::kPermissionDenied, "not for you");
  };
  EXPECT_EQ(status_of(get("/cdh/resource/a/b/c")), 200);
  EXPECT_EQ(status_of(get("/aa/token?token_type=kbs")), 200);
  EXPECT_EQ(status_of(get("/info")), 200);
  allow = false;
  backend_.asked.clear();
  const auto refused = get("/aa/evidence?runtime_data=x");
  EXPECT_EQ(status_of(refused), 403);
  EXPECT_EQ(body_of(refused), "not for you\n");
  EXPECT_EQ(backend_.asked, "");
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].rule, "GetResourceRequest");
  EXPECT_EQ(asked[0].resource, "kbs:///a/b/c");
  EXPECT_NE(asked[0].caller.port, 0);
  EXPECT_EQ(asked[1].rule, "GetTokenRequest");
  EXPECT_EQ(asked[1].token_type, "kbs");
  EXPECT_EQ(asked[2].rule, "GetEvidenceRequest");
}

// From there it could use the port of another container's connection, and pass for it.
TEST_F(Rest, HearsNobodyFromAnotherLoopbackAddress) {
  const std::string request = "GET /info HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(ask(request, INADDR_LOOPBACK + 1), "");
  EXPECT_EQ(status_of(ask(request)), 200);
}

TEST_F(Rest, KeepsAConnectionForTheNextRequest) {
  const std::string one = "GET /info HTTP/1.1\r\nHost: x\r\n\r\n";
  const auto two = ask(one + one);
  EXPECT_NE(two.find("HTTP/1.1 200", 1), std::string::npos) << two;
  const auto closed = ask("GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + one);
  EXPECT_EQ(closed.find("HTTP/1.1 200", 1), std::string::npos) << closed;
}

// These bytes end a program that gives them to Boost 1.81.
TEST_F(Rest, RefusesAChunkedBody) {
  const std::string_view bytes(
      "POST /aa/aael HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n{}\r\n0\x11\0\0\0\t /aa*P\nHosP\n0\r\n\n",
      92);
  const auto reply = ask(std::string(bytes));
  EXPECT_EQ(status_of(reply), 400);
  EXPECT_NE(reply.find("send Content-Length"), std::string::npos) << reply;
}

TEST_F(Rest, BoundsWhatItReads) {
  EXPECT_EQ(status_of(get("/" + std::string(kMaxRequestHeader, 'a'))), 413);
  EXPECT_EQ(
      status_of(ask(fmt::format("POST /aa/aael HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                                kMaxRequestBody + 1))),
      413);
  EXPECT_EQ(status_of(ask("hello\r\n\r\n")), 400);
  EXPECT_EQ(ask(""), "");
  EXPECT_EQ(ask("GET /info HTTP/1.1\r\nHost:"), "") << "a request that is cut has no answer";
}

// The whole way: container, agent, broker.
TEST(RestOverABroker, ReleasesASecretThatThePolicyAllows) {
  client::Trustee trustee;
  client::FakeBroker broker(trustee.handler());
  auto source = client::make_sample_source();
  client::FakeWorld world;
  auto made = client::make_client({.url = broker.url()}, *source, world);
  KbsBackend backend(std::move(made), std::move(source), {});
  std::string allowed;
  std::string refused;
  std::string token;
  run_void([&](asio::any_io_executor executor) -> Task<void> {
    RestSettings settings;
    settings.port = 0;
    settings.features.attestation = true;
    settings.authorize = [](Access access) -> Task<Status> {
      if (access.resource != "kbs:///other/key/1") co_return Status{};
      co_return fail(Code::kPermissionDenied, "the agent's policy does not allow it");
    };
    RestServer server(executor, backend, settings);
    const auto started = server.start();
    check(started.has_value(), "start the server");
    const std::string end = " HTTP/1.1\r\nHost: x\r\n\r\n";
    allowed = co_await exchange(server.port(), "GET /cdh/resource/default/key/1" + end);
    refused = co_await exchange(server.port(), "GET /cdh/resource/other/key/1" + end);
    token = co_await exchange(server.port(), "GET /aa/token?token_type=kbs" + end);
    co_await server.close();
  });
  EXPECT_TRUE(allowed.ends_with("\r\n\r\nthe secret")) << allowed;
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 403 ")) << refused;
  const auto json = Json::parse(token.substr(token.find("\r\n\r\n")));
  EXPECT_TRUE(jose::parse_jws(json["token"].get<std::string>()));
  EXPECT_TRUE(jose::PrivateKey::from_pem(json["tee_keypair"].get<std::string>()));
}

// cdh.toml may name another broker than the one that is attested to.
TEST(KbsBackend, FetchesFromAnotherBrokerWithTheFirstOnesToken) {
  client::FakeWorld world;
  world.now = std::time(nullptr);  // the second client has no clock but the real one
  client::Trustee attests;
  attests.world = &world;
  client::Trustee gives;
  gives.secret = "the other's secret";
  client::FakeBroker first(attests.handler());
  client::FakeBroker second([&](const client::SeenRequest& request) {
    gives.guest_key = attests.guest_key;
    return gives.handler()(request);
  });
  auto source = client::make_sample_source();
  auto made = client::make_client({.url = first.url()}, *source, world);
  SecretRules rules;
  client::KbsSettings other;
  other.url = second.url();
  rules.other_broker = std::move(other);
  std::string opened;
  std::string token;
  {
    KbsBackend backend(std::move(made), std::move(source), std::move(rules));
    run_void([&](asio::any_io_executor) -> Task<void> {
      const auto secret = co_await backend.resource(client::resource());
      check(secret.has_value(), "get the resource");
      opened = as_text(secret->view());
      const auto both = co_await backend.token("kbs");
      check(both.has_value(), "get the token");
      token = Json::parse(as_text(both->view()))["token"].get<std::string>();
    });
  }
  EXPECT_EQ(opened, "the other's secret");
  EXPECT_EQ(client::lines(first),
            (std::vector<std::string>{"POST /kbs/v0/auth", "POST /kbs/v0/attest"}));
  ASSERT_EQ(second.seen().size(), 1U);
  EXPECT_EQ(second.seen()[0].header("authorization"), "Bearer " + token);
}

// The whole way of a sealed secret: the signer's key and the secret come from the broker.
TEST(KbsBackend, UnsealsWithTheBrokersKeyAndResource) {
  const auto signer = jose::PrivateKey::generate(jose::KeyType::kEcP256).value();
  client::FakeWorld world;
  client::Trustee trustee;
  client::FakeBroker broker([&](const client::SeenRequest& request) {
    const bool key = request.line.find("/signer/") != std::string::npos;
    trustee.secret = key ? jose::to_jwk(signer.public_key())->dump() : "opened";
    return trustee.handler()(request);
  });
  const Json payload = {{"version", "0.1.0"},
                        {"type", "vault"},
                        {"provider", "kbs"},
                        {"name", "kbs:///default/sealed/1"}};
  const auto jws = jose::sign_jws(signer, {{"kid", "kbs:///default/signer/1"}}, payload.dump());
  auto source = client::make_sample_source();
  auto made = client::make_client({.url = broker.url()}, *source, world);
  KbsBackend backend(std::move(made), std::move(source), {});
  std::string opened;
  std::string refused;
  run_void([&](asio::any_io_executor) -> Task<void> {
    const auto secret = co_await backend.unseal("sealed." + *jws);
    check(secret.has_value(), "unseal");
    opened = as_text(secret->view());
    const auto not_sealed = co_await backend.unseal("plain");
    check(!not_sealed.has_value(), "refuse what is not sealed");
    refused = not_sealed.error().to_string();
  });
  EXPECT_EQ(opened, "opened");
  EXPECT_NE(refused.find("does not begin with 'sealed.'"), std::string::npos) << refused;
}

}  // namespace
}  // namespace coffer::guest_api
