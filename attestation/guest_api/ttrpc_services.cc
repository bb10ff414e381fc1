#include "attestation/guest_api/ttrpc_services.h"

#include <fmt/format.h>

#include <algorithm>

#include "rpc/protos/attestation_agent.pb.h"
#include "rpc/protos/confidential_data_hub.pb.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::guest_api {
namespace {

namespace aa = attestation_agent;

constexpr const char* kAgent = "attestation_agent.AttestationAgentService";

// Serves a method whose reply is `field` alone, and wipes what held the secret on its way.
template <typename Response>
Result<std::string> secret_reply(const Result<SecretBytes>& secret,
                                 std::string* (Response::*field)(), std::string_view what) {
  if (!secret) return fail(secret.error());
  Response response;
  std::string& held = *(response.*field)();
  held = as_text(secret->view());
  auto bytes = rpc::serialize_message(response, what);
  wipe(held);
  return bytes;
}

Result<protocol::ResourceUri> resource_of(const std::string& text) {
  if (text.find("://") != std::string::npos) return protocol::parse_resource_uri(text);
  COFFER_TRY(const auto path, protocol::parse_resource_path(text));
  protocol::ResourceUri uri;
  uri.plugin = "resource";
  uri.path = path.to_string();
  return uri;
}

Task<Result<aa::GetEvidenceResponse>> get_evidence(Backend& backend,
                                                   aa::GetEvidenceRequest request) {
  Bytes data = to_bytes(request.runtimedata());
  COFFER_CO_TRY_VOID(check_runtime_data(data));
  COFFER_CO_TRY(std::string evidence, co_await backend.evidence(std::move(data)));
  aa::GetEvidenceResponse response;
  response.set_evidence(std::move(evidence));
  co_return response;
}

Task<Result<std::string>> get_token(Backend& backend, rpc::Payload payload) {
  COFFER_CO_TRY(const auto request,
                rpc::parse_message<aa::GetTokenRequest>(payload.view(), "GetToken request"));
  const auto token = co_await backend.token(request.tokentype());
  co_return secret_reply(token, &aa::GetTokenResponse::mutable_token, "GetToken response");
}

Task<Result<aa::ExtendRuntimeMeasurementResponse>> extend(
    Backend& backend, aa::ExtendRuntimeMeasurementRequest request) {
  RuntimeEvent event;
  event.domain = request.domain();
  event.operation = request.operation();
  event.content = request.content();
  if (request.has_registerindex()) event.register_index = request.registerindex();
  COFFER_CO_TRY_VOID(check_event(event));
  const Status extended = co_await backend.extend(std::move(event));
  aa::ExtendRuntimeMeasurementResponse response;
  if (!extended && extended.error().code() != Code::kUnimplemented)
    co_return fail(extended.error());
  response.set_result(extended ? aa::OK : aa::NOT_SUPPORTED);
  co_return response;
}

Result<aa::BindInitDataResponse> bind_initdata(const Bytes& bound, const std::string& digest) {
  const auto given = as_bytes(digest);
  if (bound.empty())
    return fail(Code::kFailedPrecondition, "bind initdata: this guest was started without any");
  if (equal_constant_time(bound, given)) return aa::BindInitDataResponse();
  return fail(Code::kPermissionDenied,
              fmt::format("bind initdata: this guest is bound to {}, got {}", to_hex(bound),
                          to_hex(given.first(std::min<std::size_t>(given.size(), 64)))));
}

Task<Result<std::string>> unseal_secret(Backend& backend, rpc::Payload payload) {
  COFFER_CO_TRY(const auto request,
                rpc::parse_message<api::UnsealSecretInput>(payload.view(), "UnsealSecret request"));
  const auto secret = co_await backend.unseal(request.secret());
  co_return secret_reply(secret, &api::UnsealSecretOutput::mutable_plaintext,
                         "UnsealSecret response");
}

Task<Result<std::string>> get_resource(Backend& backend, rpc::Payload payload) {
  COFFER_CO_TRY(const auto request,
                rpc::parse_message<api::GetResourceRequest>(payload.view(), "GetResource request"));
  COFFER_CO_TRY(auto uri, resource_of(request.resourcepath()));
  const auto secret = co_await backend.resource(std::move(uri));
  co_return secret_reply(secret, &api::GetResourceResponse::mutable_resource,
                         "GetResource response");
}

void add_missing(rpc::Router& router, const char* service, const char* method, const char* what) {
  router.add(service, method,
             [method, what](rpc::CallContext /*context*/,
                            rpc::Payload /*payload*/) -> Task<Result<std::string>> {
               co_return fail(Code::kUnimplemented,
                              fmt::format("{}: {} not supported by this guest", method, what));
             });
}

}  // namespace

void add_attestation_agent(rpc::Router& router, Backend& backend, Bytes initdata_digest) {
  rpc::add<aa::GetEvidenceRequest, aa::GetEvidenceResponse>(
      router, kAgent, "GetEvidence",
      [&backend](rpc::CallContext /*context*/, aa::GetEvidenceRequest request) {
        return get_evidence(backend, std::move(request));
      });
  // No devices: empty, as CoCo's agent answers then.
  rpc::add<aa::GetAdditionalEvidenceRequest, aa::GetEvidenceResponse>(
      router, kAgent, "GetAdditionalEvidence",
      [](rpc::CallContext /*context*/,
         aa::GetAdditionalEvidenceRequest request) -> Task<Result<aa::GetEvidenceResponse>> {
        COFFER_CO_TRY_VOID(check_runtime_data(as_bytes(request.runtimedata())));
        co_return aa::GetEvidenceResponse();
      });
  router.add(kAgent, "GetToken", [&backend](rpc::CallContext /*context*/, rpc::Payload payload) {
    return get_token(backend, std::move(payload));
  });
  rpc::add<aa::ExtendRuntimeMeasurementRequest, aa::ExtendRuntimeMeasurementResponse>(
      router, kAgent, "ExtendRuntimeMeasurement",
      [&backend](rpc::CallContext /*context*/, aa::ExtendRuntimeMeasurementRequest request) {
        return extend(backend, std::move(request));
      });
  rpc::add<aa::BindInitDataRequest, aa::BindInitDataResponse>(
      router, kAgent, "BindInitData",
      [bound = std::move(initdata_digest)](
          rpc::CallContext /*context*/,
          aa::BindInitDataRequest request) -> Task<Result<aa::BindInitDataResponse>> {
        co_return bind_initdata(bound, request.digest());
      });
  rpc::add<aa::GetTeeTypeRequest, aa::GetTeeTypeResponse>(
      router, kAgent, "GetTeeType",
      [&backend](rpc::CallContext /*context*/,
                 aa::GetTeeTypeRequest /*request*/) -> Task<Result<aa::GetTeeTypeResponse>> {
        aa::GetTeeTypeResponse response;
        response.set_tee(backend.tee());
        co_return response;
      });
  rpc::add<aa::GetAdditionalTeesRequest, aa::GetAdditionalTeesResponse>(
      router, kAgent, "GetAdditionalTees",
      [](rpc::CallContext /*context*/,
         aa::GetAdditionalTeesRequest /*request*/) -> Task<Result<aa::GetAdditionalTeesResponse>> {
        co_return aa::GetAdditionalTeesResponse();
      });
}

void add_data_hub(rpc::Router& router, Backend& backend) {
  router.add("api.SealedSecretService", "UnsealSecret",
             [&backend](rpc::CallContext /*context*/, rpc::Payload payload) {
               return unseal_secret(backend, std::move(payload));
             });
  router.add("api.GetResourceService", "GetResource",
             [&backend](rpc::CallContext /*context*/, rpc::Payload payload) {
               return get_resource(backend, std::move(payload));
             });
  add_missing(router, "api.SecureMountService", "SecureMount", "encrypted volumes are");
  add_missing(router, "api.ImagePullService", "PullImage", "pulling images in the guest is");
  constexpr const char* kKeyProvider = "keyprovider.KeyProviderService";
  add_missing(router, kKeyProvider, "WrapKey", "wrapping keys is");
  add_missing(router, kKeyProvider, "UnWrapKey", "unwrapping keys of encrypted images is");
}

}  // namespace coffer::guest_api
