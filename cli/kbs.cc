#include "cli/kbs.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "base/fd.h"
#include "base/http/pin.h"
#include "base/log.h"
#include "cli/kbs_admin.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kDefaultUrl = "http://127.0.0.1:8080";
constexpr unsigned kMaxTimeout = 3600;
constexpr std::size_t kMaxCertificate = std::size_t{1} << 20U;

bool is_loopback(std::string_view url) {
  for (const std::string_view host : {"http://127.", "http://localhost", "http://[::1]"}) {
    if (url.starts_with(host)) return true;
  }
  return false;
}

Status read_timeout(const std::string& text, http::Settings& settings) {
  if (text.empty()) return {};
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds == 0 ||
      seconds > kMaxTimeout) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("option '--timeout': got '{}', want seconds from 1 to {}", text, kMaxTimeout));
  }
  settings.timeout = std::chrono::seconds(seconds);
  return {};
}

}  // namespace

std::vector<Command> kbs_commands() {
  std::vector<Command> commands;
  commands.push_back(kbs_attest());
  commands.push_back(kbs_get_resource());
  for (auto& command : kbs_admin_commands()) commands.push_back(std::move(command));
  return commands;
}

void declare_broker(Options& options, BrokerOptions& broker) {
  options
      .value("--url", &broker.url,
             "the broker (else $KBS_URL, else http://127.0.0.1:8080), https://HOST[:PORT]")
      .value("--cert-file", &broker.cert_file,
             "PEM of the CA, or of the broker's own certificate: the only one believed")
      .value("--tls-pin", &broker.tls_pin,
             "the broker's key: sha256//BASE64, sha256:HEX, or a PEM file of certificate or key")
      .value("--timeout", &broker.timeout, "seconds for one request (60)");
}

std::string broker_url(const BrokerOptions& broker) {
  if (!broker.url.empty()) return broker.url;
  const char* from_environment = std::getenv("KBS_URL");
  return from_environment != nullptr && *from_environment != '\0' ? from_environment
                                                                  : std::string(kDefaultUrl);
}

Result<http::Settings> broker_http(const BrokerOptions& broker) {
  ignore_sigpipe();  // as the HTTP client wants it; other commands die of a closed pipe
  http::Settings settings;
  settings.proxy_from_environment = true;
  COFFER_TRY_VOID(read_timeout(broker.timeout, settings));
  if (!broker.cert_file.empty()) {
    COFFER_TRY(settings.tls.ca_pem, read_file(broker.cert_file, kMaxCertificate));
  }
  if (!broker.tls_pin.empty()) {
    auto pin = http::parse_pin(broker.tls_pin);
    if (!pin) {
      COFFER_TRY(const std::string pem, read_file(broker.tls_pin, kMaxCertificate));
      pin = http::parse_pin(pem);
    }
    COFFER_TRY(settings.tls.pin, std::move(pin));
  }
  const auto url = broker_url(broker);
  if (url.starts_with("http://") && !is_loopback(url)) {
    fmt::print(stderr,
               "coffer: warning: {}: plain HTTP; whoever is on the way can answer in the broker's "
               "place (use https with --cert-file or --tls-pin)\n",
               url);
  }
  return settings;
}

}  // namespace coffer::cli
