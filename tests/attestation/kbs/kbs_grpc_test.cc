// Trustee's attestation service API on a running coffer-kbs, by the stubs that a Trustee KBS has.

#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attestation/jose/jws.h"
#include "attestation/protocol/report_data.h"
#include "base/fd.h"
#include "rpc/protos/attestation_service.grpc.pb.h"
#include "rpc/protos/reference_values.grpc.pb.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"

namespace coffer {
namespace {

using testing::good_values;
using testing::RunningKbs;
using testing::SnpSource;
using Json = nlohmann::json;

class AttestationPort : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    kbs_ = RunningKbs::start(testing::trust() +
                             "[attestation_service]\ngrpc_socket = \"127.0.0.1:0\"\n")
               .release();
    check(kbs_->admin("POST", "/kbs/v0/reference-value", good_values().dump()).status == 200,
          "set reference values");
  }
  static void TearDownTestSuite() {
    delete kbs_;
    kbs_ = nullptr;
  }
  void SetUp() override {
    auto channel = grpc::CreateChannel(kbs_->grpc(), grpc::InsecureChannelCredentials());
    service_ = attestation::AttestationService::NewStub(channel);
    values_ = reference::ReferenceValueProviderService::NewStub(channel);
  }
  // As the administrator when `token` is one.
  static void authorize(grpc::ClientContext& context, const std::string& token) {
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  }
  attestation::AttestationRequest request(BytesView report_data) {
    attestation::AttestationRequest out;
    auto& one = *out.add_verification_requests();
    one.set_tee("snp");
    one.set_evidence(to_base64url(as_bytes(source_.evidence(report_data)->dump())));
    return out;
  }
  grpc::Status evaluate(const attestation::AttestationRequest& request) {
    grpc::ClientContext context;
    return service_->AttestationEvaluate(&context, request, &response_);
  }
  Json claims() const {
    const auto jws = jose::parse_jws(response_.attestation_token());
    check(jws.has_value(), "parse the token");
    return Json::parse(jws->payload);
  }
  grpc::Status set_policy(const std::string& token) {
    attestation::SetPolicyRequest request;
    request.set_policy_id("mine");
    request.set_policy(to_base64url(
        as_bytes("package policy\nimport rego.v1\ntrust_claims := {\"hardware\": 97}\n")));
    grpc::ClientContext context;
    authorize(context, token);
    attestation::SetPolicyResponse response;
    return service_->SetAttestationPolicy(&context, request, &response);
  }

  static RunningKbs* kbs_;
  SnpSource source_;
  std::unique_ptr<attestation::AttestationService::Stub> service_;
  std::unique_ptr<reference::ReferenceValueProviderService::Stub> values_;
  attestation::AttestationResponse response_;
};
RunningKbs* AttestationPort::kbs_ = nullptr;

TEST_F(AttestationPort, EvaluatesWhatStructuredRuntimeDataBinds) {
  const Json runtime = {{"nonce", "n"}, {"tee-pubkey", {{"kty", "EC"}}}};
  auto asked = request(*protocol::structured_report_data(runtime));
  asked.mutable_verification_requests(0)->set_structured_runtime_data(runtime.dump());
  const auto status = evaluate(asked);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const Json cpu = claims()["submods"]["cpu0"];
  EXPECT_EQ(cpu["ear.status"], "affirming");
  EXPECT_EQ(cpu["ear.veraison.annotated-evidence"]["runtime_data_claims"], runtime);
  EXPECT_EQ(cpu["ear.coffer.unchecked"], Json::array({"init_data"}));
  // Another algorithm is another digest.
  asked.mutable_verification_requests(0)->set_runtime_data_hash_algorithm("sha512");
  EXPECT_EQ(evaluate(asked).error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(AttestationPort, EvaluatesRawRuntimeDataAndSaysWhatNobodyCompared) {
  const Bytes bound(64, 0x42);
  auto asked = request(bound);
  ASSERT_TRUE(evaluate(asked).ok());
  EXPECT_EQ(claims()["submods"]["cpu0"]["ear.coffer.unchecked"],
            Json::array({"report_data", "init_data"}));
  asked.mutable_verification_requests(0)->set_raw_runtime_data(to_base64url(bound));
  asked.mutable_verification_requests(0)->set_init_data_digest(to_base64url(Bytes(32)));
  ASSERT_TRUE(evaluate(asked).ok()) << "HOST_DATA is zero";
  EXPECT_FALSE(claims()["submods"]["cpu0"].contains("ear.coffer.unchecked"));
  asked.mutable_verification_requests(0)->set_raw_runtime_data(to_base64url(Bytes(64, 0x43)));
  const auto refused = evaluate(asked);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_NE(refused.error_message().find("expect.report_data"), std::string::npos)
      << refused.error_message();
}

TEST_F(AttestationPort, ItsTokensOpenNoResource) {
  ASSERT_EQ(kbs_->admin("POST", "/kbs/v0/resource/default/key/1", "the secret").status, 200);
  const Json runtime = {{"nonce", "old"}, {"tee-pubkey", {{"kty", "EC"}}}};
  auto asked = request(*protocol::structured_report_data(runtime));
  asked.mutable_verification_requests(0)->set_structured_runtime_data(runtime.dump());
  ASSERT_TRUE(evaluate(asked).ok());
  const auto reply = kbs_->anyone("GET", "/kbs/v0/resource/default/key/1", "",
                                  {{"Authorization", "Bearer " + response_.attestation_token()}});
  EXPECT_EQ(reply.status, 401);
  EXPECT_NE(reply.body.find("fresh"), std::string::npos) << reply.body;
}

TEST_F(AttestationPort, NamesTheFieldThatIsWrong) {
  const auto message = [&](const std::function<void(attestation::AttestationRequest&)>& change) {
    auto asked = request(Bytes(64));
    change(asked);
    const auto status = evaluate(asked);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  const auto has = [](const std::string& text, std::string_view part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(message([](auto& r) { r.clear_verification_requests(); }), "verification_requests");
  has(message([](auto& r) { *r.add_verification_requests() = r.verification_requests(0); }),
      "got 2");
  has(message([](auto& r) { r.mutable_verification_requests(0)->set_tee("toaster"); }), "toaster");
  has(message([](auto& r) { r.mutable_verification_requests(0)->set_evidence("!"); }), "evidence");
  has(message([](auto& r) {
        r.mutable_verification_requests(0)->set_raw_runtime_data(to_base64url(Bytes(65)));
      }),
      "raw_runtime_data");
  has(message(
          [](auto& r) { r.mutable_verification_requests(0)->set_structured_runtime_data("[]"); }),
      "structured_runtime_data");
  has(message([](auto& r) {
        r.add_policy_ids("a");
        r.add_policy_ids("b");
      }),
      "policy_ids");
}

TEST_F(AttestationPort, PoliciesAndValuesAreTheAdministratorsOnly) {
  EXPECT_EQ(set_policy("").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(set_policy("nonsense").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  ASSERT_TRUE(set_policy(kbs_->admin_token()).ok());
  auto asked = request(Bytes(64));
  asked.add_policy_ids("mine");
  ASSERT_TRUE(evaluate(asked).ok());
  EXPECT_EQ(claims()["submods"]["cpu0"]["ear.status"], "contraindicated");

  reference::ReferenceValueRegisterRequest value;
  value.set_message(Json{{"version", "0.1.0"},
                         {"type", "sample"},
                         {"payload", to_base64(as_bytes(R"({"from.grpc": [1, 2]})"))}}
                        .dump());
  reference::ReferenceValueQueryRequest query;
  query.set_reference_value_id("from.grpc");
  const auto put = [&](const std::string& token) {
    grpc::ClientContext context;
    authorize(context, token);
    reference::ReferenceValueRegisterResponse response;
    return values_->RegisterReferenceValue(&context, value, &response);
  };
  reference::ReferenceValueQueryResponse found;
  const auto get = [&](const std::string& token) {
    grpc::ClientContext context;
    authorize(context, token);
    return values_->QueryReferenceValue(&context, query, &found);
  };
  EXPECT_EQ(put("").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(get("").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  ASSERT_TRUE(get(kbs_->admin_token()).ok());
  EXPECT_FALSE(found.has_reference_value_results());
  ASSERT_TRUE(put(kbs_->admin_token()).ok());
  ASSERT_TRUE(get(kbs_->admin_token()).ok());
  EXPECT_EQ(found.reference_value_results(), "[1,2]");
}

TEST_F(AttestationPort, TellsItsLogAndNotTheCallerWhatWentWrongInside) {
  attestation::SetPolicyRequest endless;
  endless.set_policy_id("endless");
  endless.set_policy(
      to_base64url(as_bytes("package policy\nimport rego.v1\nsecret_rule := count([1 | some a in "
                            "numbers.range(1, 30000); "
                            "some b in numbers.range(1, 30000); a == b])\n"
                            "trust_claims := {\"hardware\": secret_rule}\n")));
  grpc::ClientContext context;
  authorize(context, kbs_->admin_token());
  attestation::SetPolicyResponse set;
  const auto done = service_->SetAttestationPolicy(&context, endless, &set);
  ASSERT_TRUE(done.ok()) << done.error_message();
  auto asked = request(Bytes(64));
  asked.add_policy_ids("endless");
  const auto status = evaluate(asked);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.error_message().find("its log says why"), std::string::npos);
  EXPECT_EQ(status.error_message().find("evaluate policy"), std::string::npos)
      << status.error_message();
  const auto log = read_file(kbs_->folder() + "/log", std::size_t{64} << 20U);
  ASSERT_TRUE(log) << log.error().to_string();
  EXPECT_NE(log->find("an evaluation failed"), std::string::npos);
  EXPECT_NE(log->find("evaluate policy"), std::string::npos);
}

// gRPC by itself takes any number.
TEST_F(AttestationPort, TakesSoManyConnectionsAndNoMore) {
  const auto kbs = RunningKbs::start(testing::trust() +
                                     "[attestation_service]\ngrpc_socket = \"127.0.0.1:0\"\n");
  const std::string file = kbs->folder() + "/coffer-kbs.toml";
  std::string config = read_file(file).value();
  constexpr std::string_view kSection = "[http_server]\n";
  config.insert(config.find(kSection) + kSection.size(), "max_connections = 2\n");
  ASSERT_TRUE(write_file(file, config));
  kbs->restart();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string& where = kbs->grpc();
  address.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(where.substr(where.rfind(':') + 1))));
  const auto connect = [&] {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  };
  // The server speaks first, with its settings, unless it closes.
  const auto is_let_in = [](const Fd& fd) {
    char byte = 0;
    return ::recv(fd.get(), &byte, 1, 0) == 1;
  };
  Fd first = connect();
  EXPECT_TRUE(is_let_in(first));
  const Fd second = connect();
  EXPECT_TRUE(is_let_in(second));
  EXPECT_FALSE(is_let_in(connect()));
  const auto metrics = kbs->anyone("GET", "/metrics");
  EXPECT_NE(metrics.body.find("kbs_connections_refused_total{limit=\"total\"}"), std::string::npos)
      << metrics.body;
  // A place that is given up is had again, a moment later.
  first.reset();
  bool again = false;
  for (int i = 0; i < 100000 && !again; ++i) again = is_let_in(connect());
  EXPECT_TRUE(again);
}

TEST_F(AttestationPort, ChallengesAreFresh) {
  attestation::ChallengeRequest asked;
  (*asked.mutable_inner())["tee"] = "snp";
  const auto ask = [&] {
    grpc::ClientContext context;
    attestation::ChallengeResponse response;
    const auto status = service_->GetAttestationChallenge(&context, asked, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.attestation_challenge();
  };
  const auto first = ask();
  EXPECT_EQ(from_base64(first)->size(), 32U);
  EXPECT_NE(ask(), first);
}

TEST_F(AttestationPort, AnswersHealthChecksOfGrpcsOwnProtocol) {
  auto channel = grpc::CreateChannel(kbs_->grpc(), grpc::InsecureChannelCredentials());
  // grpc.health.v1.HealthCheckRequest{} and HealthCheckResponse{SERVING}, as bytes.
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice empty;
  const grpc::ByteBuffer nothing(&empty, 1);
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", nothing, &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  grpc::Status status;
  int tag = 0;
  call->Finish(&reply, &status, &tag);
  void* got = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&got, &ok));
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(reply.Dump(&slices).ok());
  std::string bytes;
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  EXPECT_EQ(to_hex(as_bytes(bytes)), "0801");
}

TEST_F(AttestationPort, IsNotServedUnlessAskedFor) {
  const auto other = RunningKbs::start();
  EXPECT_EQ(other->grpc(), "");
}

}  // namespace
}  // namespace coffer
