#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "attestation/client/local_evidence.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "guest-agent/attester/broker_config.h"
#include "guest-agent/attester/commands.h"
#include "guest-agent/attester/guest_apis.h"

namespace coffer::attester {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFile = std::size_t{4} << 20U;

// Together less than the agent waits: a broker that cannot be reached is to be named as such.
client::KbsSettings kbs_settings(const AaConfig& config, std::string initdata) {
  client::KbsSettings settings;
  settings.url = config.url;
  settings.key_type = config.key_type;
  settings.http.tls.ca_pem = config.cert;
  settings.http.connect_timeout = std::chrono::seconds(5);
  settings.http.timeout = std::chrono::seconds(30);
  settings.init_data = std::move(initdata);
  settings.handshake_attempts = 4;
  return settings;
}

guest_api::SecretRules secret_rules(const CdhConfig& config) {
  guest_api::SecretRules rules;
  rules.unseal.skip_verification = config.skip_sealed_secret_verification;
  if (config.url.empty()) return rules;
  client::KbsSettings other;
  other.url = config.url;
  other.http.tls.ca_pem = config.cert;
  other.http.connect_timeout = std::chrono::seconds(5);
  other.http.timeout = std::chrono::seconds(30);
  rules.other_broker = std::move(other);
  return rules;
}

Result<std::optional<std::string>> read_entry(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  COFFER_TRY(std::string text, read_file(path, kMaxFile));
  return text;
}

Result<BrokerConfig> read_config(const fs::path& folder) {
  COFFER_TRY(const auto aa, read_entry(folder / "aa.toml"));
  COFFER_TRY(const auto cdh, read_entry(folder / "cdh.toml"));
  return parse_broker_config(aa, cdh);
}

// Before any container can look for them.
Task<Status> write_credentials(guest_api::Backend& backend, std::vector<Credential> credentials) {
  for (const Credential& credential : credentials) {
    auto secret = co_await backend.resource(credential.resource);
    if (!secret) {
      co_return fail(std::move(secret).error().with_context(
          fmt::format("fetch credential '{}'", credential.path.string())));
    }
    std::error_code failed;
    fs::create_directories(credential.path.parent_path(), failed);
    if (failed)
      co_return fail_errno(failed.value(),
                           fmt::format("make '{}'", credential.path.parent_path().string()));
    COFFER_CO_TRY_VOID(write_file(credential.path, as_text(secret->view()), 0600));
  }
  co_return Status{};
}

// Ends only with an error, or where nothing is to be served: the event stays unset.
Task<Status> attest_and_serve(guest_api::KbsBackend& backend, std::vector<Credential> credentials,
                              GuestApiSettings apis, int status_fd) {
  const auto executor = co_await asio::this_coro::executor;
  const auto token = co_await backend.attest();
  if (!token) co_return std::unexpected(token.error());
  COFFER_CO_TRY_VOID(co_await write_credentials(backend, std::move(credentials)));
  GuestApis served(executor, backend, std::move(apis));
  COFFER_CO_TRY_VOID(served.start());
  COFFER_CO_TRY_VOID(write_all(status_fd, as_bytes("attested\n"), "tell the agent"));
  Event for_good(executor);
  co_await for_good.wait();
  co_await served.close();
  co_return Status{};
}

}  // namespace

Status serve(const ServeSettings& settings) {
  COFFER_TRY(GuestApiSettings apis, guest_api_settings(settings));
  COFFER_TRY(std::string text, read_file(settings.folder / "initdata.toml", kMaxFile));
  COFFER_TRY(const initdata::Initdata data, initdata::parse(text));
  apis.initdata_digest = initdata::digest(data.algorithm, text);
  COFFER_TRY(BrokerConfig config, read_config(settings.folder));
  COFFER_TRY(auto source, client::make_local_source(settings.tee.name, settings.tee.root));
  // coffer-attester has extended a TPM with it: the log of its quotes must say so.
  source->note_extended(initdata::kTpmPcrIndex,
                        initdata::fit(apis.initdata_digest, initdata::kTpmPcr), "initdata");
  COFFER_TRY(auto kbs, client::KbsClient::make(kbs_settings(config.aa, std::move(text)), *source));
  guest_api::KbsBackend backend(std::move(kbs), std::move(source), secret_rules(config.cdh));
  asio::io_context loop(1);
  Status out = fail(Code::kInternal, "the event loop ended early");
  asio::co_spawn(loop,
                 attest_and_serve(backend, std::move(config.cdh.credentials), std::move(apis),
                                  settings.status_fd),
                 [&](const std::exception_ptr& error, Status ended) {
                   if (!error) out = std::move(ended);
                   loop.stop();
                 });
  loop.run();
  return out;
}

}  // namespace coffer::attester
