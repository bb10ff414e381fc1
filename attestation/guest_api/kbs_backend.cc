#include "attestation/guest_api/kbs_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <nlohmann/json.hpp>

namespace coffer::guest_api {

struct KbsBackend::State {
  State(client::KbsClient made, std::unique_ptr<client::EvidenceSource> evidence_source,
        SecretRules secret_rules)
      : source(std::move(evidence_source)),
        client(std::move(made)),
        rules(std::move(secret_rules)) {}

  std::unique_ptr<client::EvidenceSource> source;  // outlives the client
  client::KbsClient client;
  SecretRules rules;

  // On the thread.
  Result<SecretBytes> fetch(const protocol::ResourceUri& uri) {
    if (!rules.other_broker) return client.get_resource(uri);
    COFFER_TRY(std::string token, client.token());
    COFFER_TRY(std::string pem, client.key().to_pem());
    auto key = jose::PrivateKey::from_pem(pem);
    wipe(pem);
    if (!key) return fail(std::move(key).error());
    COFFER_TRY(auto other, client::KbsClient::make_with_token(*rules.other_broker, std::move(token),
                                                              *std::move(key)));
    return other.get_resource(uri);
  }

  asio::thread_pool thread{1};
};

namespace {

// Does `work` on the thread and comes back to the caller's loop.
template <typename T>
Task<Result<T>> on_thread(asio::thread_pool& thread, std::function<Result<T>()> work) {
  const auto executor = co_await asio::this_coro::executor;
  // Shared: a cancelled caller is gone before the work has ended.
  const auto done = std::make_shared<Future<std::shared_ptr<Result<T>>>>(executor);
  asio::post(thread, [work = std::move(work), done, executor] {
    auto result = std::make_shared<Result<T>>(work());
    asio::post(executor, [done, result] { done->set(result); });
  });
  const auto result = co_await done->wait();
  co_return std::move(**result);
}

}  // namespace

KbsBackend::KbsBackend(client::KbsClient client, std::unique_ptr<client::EvidenceSource> source,
                       SecretRules rules)
    : state_(std::make_shared<State>(std::move(client), std::move(source), std::move(rules))) {}

KbsBackend::~KbsBackend() { state_->thread.join(); }

std::string KbsBackend::tee() const {
  return std::string(protocol::tee_name(state_->source->tee()));
}

Task<Result<std::string>> KbsBackend::attest() {
  std::function<Result<std::string>()> work = [state = state_] { return state->client.attest(); };
  return on_thread<std::string>(state_->thread, std::move(work));
}

Task<Result<SecretBytes>> KbsBackend::resource(protocol::ResourceUri uri) {
  std::function<Result<SecretBytes>()> work =
      [state = state_, uri = std::move(uri)]() -> Result<SecretBytes> { return state->fetch(uri); };
  return on_thread<SecretBytes>(state_->thread, std::move(work));
}

Task<Result<SecretBytes>> KbsBackend::unseal(std::string sealed) {
  std::function<Result<SecretBytes>()> work =
      [state = state_, sealed = std::move(sealed)]() -> Result<SecretBytes> {
    const auto fetch = [&state](const protocol::ResourceUri& uri) { return state->fetch(uri); };
    return guest_api::unseal(sealed, fetch, state->rules.unseal);
  };
  return on_thread<SecretBytes>(state_->thread, std::move(work));
}

Task<Result<SecretBytes>> KbsBackend::token(std::string type) {
  std::function<Result<SecretBytes>()> work = [state = state_,
                                               type = std::move(type)]() -> Result<SecretBytes> {
    if (type != "kbs") {
      return fail(Code::kInvalidArgument,
                  fmt::format("get token: type '{}' is not supported; kbs is", type));
    }
    COFFER_TRY(const std::string token, state->client.token());
    COFFER_TRY(std::string pem, state->client.key().to_pem());
    const nlohmann::ordered_json out = {{"token", token}, {"tee_keypair", pem}};
    wipe(pem);
    return SecretBytes(to_bytes(out.dump()));
  };
  return on_thread<SecretBytes>(state_->thread, std::move(work));
}

Task<Result<std::string>> KbsBackend::evidence(Bytes runtime_data) {
  std::function<Result<std::string>()> work =
      [state = state_, data = std::move(runtime_data)]() -> Result<std::string> {
    COFFER_TRY(const auto json, state->source->evidence(data));
    return json.dump();
  };
  return on_thread<std::string>(state_->thread, std::move(work));
}

Task<Status> KbsBackend::extend(RuntimeEvent event) {
  std::function<Result<bool>()> work = [state = state_,
                                        event = std::move(event)]() -> Result<bool> {
    std::optional<unsigned> pcr;
    // Out of range for every TEE, and for the cast.
    if (event.register_index)
      pcr = static_cast<unsigned>(std::min<std::uint64_t>(*event.register_index, 1U << 16U));
    COFFER_TRY_VOID(state->source->measure(
        {.domain = event.domain, .operation = event.operation, .content = event.content}, pcr));
    return true;
  };
  const auto done = co_await on_thread<bool>(state_->thread, std::move(work));
  if (!done) co_return fail(done.error());
  co_return Status{};
}

}  // namespace coffer::guest_api
