#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "attestation/client/kbs_client.h"
#include "attestation/client/local_evidence.h"
#include "attestation/guest_api/kbs_backend.h"
#include "attestation/guest_api/rest_server.h"
#include "base/fd.h"
#include "guest-agent/attester/aa_config.h"
#include "guest-agent/attester/commands.h"

namespace coffer::attester {
namespace {

constexpr std::size_t kMaxFile = std::size_t{4} << 20U;

// Together less than the agent waits: a broker that cannot be reached is to be named as such.
client::KbsSettings kbs_settings(const AaConfig& config, std::string initdata) {
  client::KbsSettings settings;
  settings.url = config.url;
  settings.http.tls.ca_pem = config.cert;
  settings.http.connect_timeout = std::chrono::seconds(5);
  settings.http.timeout = std::chrono::seconds(30);
  settings.init_data = std::move(initdata);
  settings.handshake_attempts = 4;
  return settings;
}

// Ends only with an error: the event stays unset.
Task<Status> attest_and_serve(guest_api::KbsBackend& backend, const ServeSettings& settings) {
  const auto executor = co_await asio::this_coro::executor;
  const auto token = co_await backend.attest();
  if (!token) co_return std::unexpected(token.error());
  guest_api::RestSettings rest;
  rest.port = static_cast<std::uint16_t>(settings.port);
  rest.features = {.resource = true, .attestation = true};
  guest_api::RestServer server(executor, backend, rest);
  COFFER_CO_TRY_VOID(server.start());
  COFFER_CO_TRY_VOID(write_all(settings.status_fd, as_bytes("attested\n"), "tell the agent"));
  Event for_good(executor);
  co_await for_good.wait();
  co_await server.close();
  co_return Status{};
}

}  // namespace

Status serve(const ServeSettings& settings) {
  COFFER_TRY(std::string initdata, read_file(settings.folder / "initdata.toml", kMaxFile));
  COFFER_TRY(const std::string aa, read_file(settings.folder / "aa.toml", kMaxFile));
  COFFER_TRY(const AaConfig config, parse_aa_config(aa));
  COFFER_TRY(auto source, client::make_local_source(settings.tee.name, settings.tee.root));
  COFFER_TRY(auto kbs, client::KbsClient::make(kbs_settings(config, std::move(initdata)), *source));
  guest_api::KbsBackend backend(std::move(kbs), std::move(source),
                                [](const protocol::ResourceUri& /*uri*/) { return true; });
  asio::io_context loop(1);
  Status out = fail(Code::kInternal, "the event loop ended early");
  asio::co_spawn(loop, attest_and_serve(backend, settings),
                 [&](const std::exception_ptr& error, Status ended) {
                   if (!error) out = std::move(ended);
                   loop.stop();
                 });
  loop.run();
  return out;
}

}  // namespace coffer::attester
