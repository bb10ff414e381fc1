#include <fmt/format.h>

#include "attestation/client/kbs_client.h"
#include "attestation/client/local_evidence.h"
#include "base/fd.h"
#include "guest-agent/attester/aa_config.h"
#include "guest-agent/attester/commands.h"
#include "guest-agent/attester/rest_api.h"

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

RestBackend backend_of(client::KbsClient& kbs) {
  RestBackend out;
  out.resource = [&kbs](std::string_view path) -> Result<std::string> {
    COFFER_TRY_VOID(protocol::parse_resource_path(path));
    COFFER_TRY(const auto uri, protocol::parse_resource_uri(fmt::format("kbs:///{}", path)));
    COFFER_TRY(const SecretBytes secret, kbs.get_resource(uri));
    return std::string(as_text(secret.view()));
  };
  out.token = [&kbs] { return kbs.token(); };
  return out;
}

}  // namespace

Status serve(const ServeSettings& settings) {
  COFFER_TRY(std::string initdata, read_file(settings.folder / "initdata.toml", kMaxFile));
  COFFER_TRY(const std::string aa, read_file(settings.folder / "aa.toml", kMaxFile));
  COFFER_TRY(const AaConfig config, parse_aa_config(aa));
  COFFER_TRY(const auto source, client::make_local_source(settings.tee.name, settings.tee.root));
  COFFER_TRY(auto kbs, client::KbsClient::make(kbs_settings(config, std::move(initdata)), *source));
  COFFER_TRY(const Fd listener, listen_on_loopback(settings.port));
  COFFER_TRY_VOID(kbs.attest());
  COFFER_TRY_VOID(write_all(settings.status_fd, as_bytes("attested\n"), "tell the agent"));
  const RestBackend backend = backend_of(kbs);
  return serve_rest(listener, backend);
}

}  // namespace coffer::attester
