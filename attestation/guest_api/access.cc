#include "attestation/guest_api/access.h"

#include <fmt/format.h>

namespace coffer::guest_api {
namespace {

// Without the host: which broker is asked is never the caller's word.
std::string uri_text(const protocol::ResourceUri& uri) {
  std::string text = uri.plugin == "resource" ? "kbs" : "kbs+" + uri.plugin;
  text += ":///" + uri.path;
  if (!uri.query.empty()) text += "?" + uri.query;
  return text;
}

}  // namespace

Access GuardedBackend::access(const char* rule) const {
  Access out;
  out.caller = caller_;
  out.rule = rule;
  return out;
}

Task<Status> GuardedBackend::ask(Access access) {
  if (!authorize_) {
    co_return fail(Code::kPermissionDenied,
                   fmt::format("{} is refused: there is nobody to ask whether the agent's policy "
                               "allows it (coffer-attester was started without GATE-FD)",
                               access.rule));
  }
  co_return co_await authorize_(std::move(access));
}

Task<Result<SecretBytes>> GuardedBackend::resource(protocol::ResourceUri uri) {
  Access wanted = access("GetResourceRequest");
  wanted.resource = uri_text(uri);
  COFFER_CO_TRY_VOID(co_await ask(std::move(wanted)));
  co_return co_await backend_.resource(std::move(uri));
}

Task<Result<SecretBytes>> GuardedBackend::unseal(std::string sealed) {
  Access wanted = access("UnsealSecretRequest");
  COFFER_CO_TRY_VOID(co_await ask(std::move(wanted)));
  co_return co_await backend_.unseal(std::move(sealed));
}

Task<Result<SecretBytes>> GuardedBackend::token(std::string type) {
  Access wanted = access("GetTokenRequest");
  wanted.token_type = type;
  COFFER_CO_TRY_VOID(co_await ask(std::move(wanted)));
  co_return co_await backend_.token(std::move(type));
}

Task<Result<std::string>> GuardedBackend::evidence(Bytes runtime_data) {
  Access wanted = access("GetEvidenceRequest");
  COFFER_CO_TRY_VOID(co_await ask(std::move(wanted)));
  co_return co_await backend_.evidence(std::move(runtime_data));
}

Task<Status> GuardedBackend::extend(RuntimeEvent event) {
  Access wanted = access("ExtendRuntimeMeasurementRequest");
  wanted.event = event;
  COFFER_CO_TRY_VOID(co_await ask(std::move(wanted)));
  co_return co_await backend_.extend(std::move(event));
}

}  // namespace coffer::guest_api
