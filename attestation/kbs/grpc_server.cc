#include "attestation/kbs/grpc_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <array>
#include <chrono>

#include "attestation/kbs/grpc_door.h"
#include "rpc/protos/attestation_service.grpc.pb.h"
#include "rpc/protos/reference_values.grpc.pb.h"

namespace coffer::kbs {
namespace {

constexpr int kMaxStreams = 64;  // of one connection
constexpr int kIdleMilliseconds = 60'000;
constexpr int kHandshakeMilliseconds = 10'000;  // of TLS, and until HTTP/2's first frame
constexpr std::size_t kMaxErrorBytes = 4096;    // metadata has a limit of 8 KiB
constexpr auto kGrace = std::chrono::seconds(5);
// That wait for calls, beside those that serve them.
constexpr int kPollers = 2;

// Trustee's service answers every failure with Aborted; what is the caller's to mend says so here.
grpc::Status to_grpc(const Status& status) {
  if (status) return grpc::Status::OK;
  const Error& error = status.error();
  return {static_cast<grpc::StatusCode>(error.code()), error.to_string().substr(0, kMaxErrorBytes)};
}

std::string_view authorization_of(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto at = metadata.find("authorization");
  if (at == metadata.end()) return {};
  return {at->second.data(), at->second.size()};
}

class Evaluation final : public attestation::AttestationService::Service {
 public:
  explicit Evaluation(AttestationApi& api) : api_(api) {}

  grpc::Status AttestationEvaluate(grpc::ServerContext* /*context*/,
                                   const attestation::AttestationRequest* request,
                                   attestation::AttestationResponse* response) override {
    return to_grpc(api_.evaluate(*request, *response));
  }
  grpc::Status SetAttestationPolicy(grpc::ServerContext* context,
                                    const attestation::SetPolicyRequest* request,
                                    attestation::SetPolicyResponse* /*response*/) override {
    return to_grpc(api_.set_policy(*request, authorization_of(*context)));
  }
  grpc::Status GetAttestationChallenge(grpc::ServerContext* /*context*/,
                                       const attestation::ChallengeRequest* request,
                                       attestation::ChallengeResponse* response) override {
    return to_grpc(api_.challenge(*request, *response));
  }

 private:
  AttestationApi& api_;
};

class Values final : public reference::ReferenceValueProviderService::Service {
 public:
  explicit Values(AttestationApi& api) : api_(api) {}

  grpc::Status QueryReferenceValue(grpc::ServerContext* context,
                                   const reference::ReferenceValueQueryRequest* request,
                                   reference::ReferenceValueQueryResponse* response) override {
    return to_grpc(api_.query_value(*request, authorization_of(*context), *response));
  }
  grpc::Status RegisterReferenceValue(
      grpc::ServerContext* context, const reference::ReferenceValueRegisterRequest* request,
      reference::ReferenceValueRegisterResponse* /*response*/) override {
    return to_grpc(api_.register_value(*request, authorization_of(*context)));
  }

 private:
  AttestationApi& api_;
};

std::shared_ptr<grpc::ServerCredentials> credentials_of(const GrpcSettings& settings) {
  if (settings.certificate_pem.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({settings.private_key_pem, settings.certificate_pem});
  return grpc::SslServerCredentials(options);
}

class Running final : public GrpcServer {
 public:
  explicit Running(AttestationApi& api) : evaluation_(api), values_(api) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() override {
    door_.reset();  // before what it hands connections to
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kGrace);
  }

  Status start(const GrpcSettings& settings) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ResourceQuota quota;
    quota.Resize(settings.memory);
    quota.SetMaxThreads(static_cast<int>(settings.threads) + kPollers);
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(static_cast<int>(settings.max_message));
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, kPollers);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMilliseconds);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMilliseconds);
    COFFER_TRY(door_, GrpcDoor::listen({.socket = settings.socket,
                                        .max_connections = settings.max_connections,
                                        .max_per_address = settings.max_connections_per_address,
                                        .on_refused = settings.on_refused}));
    using Experimental = grpc::ServerBuilder::experimental_type;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        Experimental::ExternalConnectionType::FROM_FD, credentials_of(settings));
    builder.RegisterService(&evaluation_);
    builder.RegisterService(&values_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return fail(Code::kUnavailable,
                  fmt::format("serve on '{}' (attestation_service.grpc_socket): the certificate is "
                              "none",
                              settings.socket));
    }
    door_->serve([this](int listener, Fd connection) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
      parameters.listener_fd = listener;
      parameters.fd = connection.release();
      acceptor_->HandleNewConnection(&parameters);
    });
    return {};
  }

  [[nodiscard]] std::string address() const override { return door_->address(); }

 private:
  Evaluation evaluation_;
  Values values_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<GrpcDoor> door_;
};

}  // namespace

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(const GrpcSettings& settings,
                                                      AttestationApi& api) {
  auto server = std::make_unique<Running>(api);
  COFFER_TRY_VOID(server->start(settings));
  return server;
}

bool is_loopback(std::string_view socket) {
  const std::string host(socket.substr(0, socket.rfind(':')));
  constexpr std::uint8_t kLoopback = 127;
  std::array<std::uint8_t, 4> address{};
  // Not by its first characters: "127.example.org" is a name.
  if (::inet_pton(AF_INET, host.c_str(), address.data()) == 1) return address[0] == kLoopback;
  return host == "[::1]" || host == "localhost";
}

}  // namespace coffer::kbs
