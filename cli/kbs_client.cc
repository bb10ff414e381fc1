#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "attestation/client/kbs_client.h"
#include "attestation/client/local_evidence.h"
#include "attestation/jose/jws.h"
#include "base/fd.h"
#include "base/json.h"
#include "cli/kbs.h"

namespace coffer::cli {
namespace {

constexpr std::size_t kMaxFile = std::size_t{4} << 20U;

constexpr std::string_view kAttestHelp =
    "Proves to a key broker what this machine is, and prints the token that it gives.\n\n"
    "example: coffer kbs attest --url https://kbs:8080 --cert-file kbs.crt --tee auto";
constexpr std::string_view kResourceHelp =
    "Attests, and prints the resource that the broker releases, in base64 as Trustee's client\n"
    "does; --raw prints its bytes, --output writes them to a file that only its owner may read.\n"
    "With --attestation-token and --tee-key-file it uses a token that is there already.\n\n"
    "example: coffer kbs get-resource --path default/key/1 --url https://kbs:8080 \\\n"
    "           --tls-pin kbs.crt --raw";

struct GuestOptions {
  BrokerOptions broker = {};
  std::string tee = "auto", key_file = {}, key_type = "ec-p256", initdata = {}, root = "/";
  std::string attempts = {};
  std::vector<std::string> plain_initdata = {};
};

void declare_guest(Options& options, GuestOptions& guest) {
  declare_broker(options, guest.broker);
  options.value("--tee", &guest.tee, "auto (default), snp, tdx, tpm, sample")
      .value("--tee-key-file", &guest.key_file, "PEM of the key pair to bind; else a fresh one")
      .value("--key-type", &guest.key_type, "of a fresh key: ec-p256 (default), ec-p521, rsa")
      .value("--initdata", &guest.initdata, "the plain initdata TOML, to be sent along")
      .value("--attempts", &guest.attempts, "handshakes before giving up (5)")
      .value("--root", &guest.root, "where the kernel's interfaces are looked for (/)")
      .positional(&guest.plain_initdata);
}

Result<jose::KeyType> key_type(const std::string& name) {
  if (name == "ec-p256") return jose::KeyType::kEcP256;
  if (name == "ec-p521") return jose::KeyType::kEcP521;
  if (name == "rsa") return jose::KeyType::kRsa;
  return fail(Code::kInvalidArgument,
              fmt::format("option '--key-type': got '{}', want ec-p256, ec-p521 or rsa", name));
}

Result<client::KbsSettings> settings_of(const GuestOptions& guest) {
  client::KbsSettings settings;
  settings.url = broker_url(guest.broker);
  const std::string user_agent = settings.http.user_agent;
  COFFER_TRY(settings.http, broker_http(guest.broker));
  settings.http.user_agent = user_agent;
  COFFER_TRY(settings.key_type, key_type(guest.key_type));
  if (!guest.attempts.empty()) {
    if (guest.attempts.size() != 1 || guest.attempts[0] < '1' || guest.attempts[0] > '9') {
      return fail(Code::kInvalidArgument,
                  fmt::format("option '--attempts': got '{}', want 1 to 9", guest.attempts));
    }
    settings.handshake_attempts = static_cast<unsigned>(guest.attempts[0] - '0');
  }
  if (!guest.initdata.empty()) {
    COFFER_TRY(settings.init_data, read_file(guest.initdata, kMaxFile));
  } else if (!guest.plain_initdata.empty()) {
    if (guest.plain_initdata.size() > 1) {
      return fail(Code::kInvalidArgument, "initdata: want one argument, its plain text");
    }
    settings.init_data = guest.plain_initdata.front();
  }
  return settings;
}

Result<std::optional<jose::PrivateKey>> key_of(const std::string& file) {
  if (file.empty()) return std::nullopt;
  COFFER_TRY(const std::string pem, read_file(file, kMaxFile));
  COFFER_TRY(jose::PrivateKey key, jose::PrivateKey::from_pem(pem));
  return key;
}

Result<client::KbsClient> client_of(const GuestOptions& guest, client::EvidenceSource& source) {
  COFFER_TRY(client::KbsSettings settings, settings_of(guest));
  COFFER_TRY(auto key, key_of(guest.key_file));
  if (!key) return client::KbsClient::make(std::move(settings), source);
  return client::KbsClient::make_with_key(std::move(settings), source, *std::move(key));
}

Result<std::string> describe(const client::KbsClient& client, std::string_view tee,
                             const std::string& token) {
  COFFER_TRY(const jose::Jws jws, jose::parse_jws(token));
  COFFER_TRY(nlohmann::json claims, parse_json(jws.payload, "token"));
  const auto& times = client.last_times();
  const nlohmann::ordered_json out = {{"token", token},
                                      {"tee", std::string(tee)},
                                      {"times_us",
                                       {{"auth", times.auth.count()},
                                        {"evidence", times.evidence.count()},
                                        {"attest", times.attest.count()}}},
                                      {"claims", std::move(claims)}};
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::string> attest(const GuestOptions& guest, bool json) {
  COFFER_TRY(const auto source, client::make_local_source(guest.tee, guest.root));
  COFFER_TRY(client::KbsClient client, client_of(guest, *source));
  COFFER_TRY(std::string token, client.attest());
  return json ? describe(client, protocol::tee_name(source->tee()), token) : std::move(token);
}

int run_attest(Args args) {
  GuestOptions guest;
  bool json = false;
  Options options("kbs attest [OPTION]... [INITDATA]", kAttestHelp);
  declare_guest(options, guest);
  options.flag("--json", &json, "token, its claims (not verified) and where the time went");
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto answer = attest(guest, json);
  if (!answer) return report(answer.error());
  fmt::print("{}\n", *answer);
  return kExitOk;
}

struct ResourceOptions {
  std::string path = {}, token_file = {}, output = {};
  bool raw = false;
};

// "kbs:///a/b/c", "kbs+plugin:///...", "a/b/c", or "plugin/..." as Trustee's client takes it.
Result<protocol::ResourceUri> resource_of(const std::string& path) {
  if (path.empty()) {
    return fail(Code::kInvalidArgument, "kbs get-resource: no --path (repository/type/tag)");
  }
  if (path.find("://") != std::string::npos) return protocol::parse_resource_uri(path);
  return protocol::parse_resource_uri("kbs:///" + path);
}

Result<SecretBytes> fetch(const GuestOptions& guest, const ResourceOptions& wanted) {
  COFFER_TRY(const auto uri, resource_of(wanted.path));
  if (!wanted.token_file.empty()) {
    COFFER_TRY(auto key, key_of(guest.key_file));
    if (!key) {
      return fail(Code::kInvalidArgument,
                  "option '--attestation-token': needs --tee-key-file, the key that the token "
                  "binds");
    }
    COFFER_TRY(client::KbsSettings settings, settings_of(guest));
    COFFER_TRY(std::string token, read_file(wanted.token_file, kMaxFile));
    while (token.ends_with('\n')) token.pop_back();
    COFFER_TRY(auto client, client::KbsClient::make_with_token(std::move(settings),
                                                               std::move(token), *std::move(key)));
    return client.get_resource(uri);
  }
  COFFER_TRY(const auto source, client::make_local_source(guest.tee, guest.root));
  COFFER_TRY(client::KbsClient client, client_of(guest, *source));
  return client.get_resource(uri);
}

Status deliver(const SecretBytes& secret, const ResourceOptions& wanted) {
  if (!wanted.output.empty()) {
    return write_file_atomic(wanted.output, as_text(secret.view()), 0600);
  }
  if (wanted.raw) return write_all(STDOUT_FILENO, secret.view(), "write to stdout");
  fmt::print("{}\n", to_base64(secret.view()));
  return {};
}

int run_get_resource(Args args) {
  GuestOptions guest;
  ResourceOptions wanted;
  Options options("kbs get-resource --path REPOSITORY/TYPE/TAG [OPTION]... [INITDATA]",
                  kResourceHelp);
  options.value("--path", &wanted.path, "what: repository/type/tag, or a kbs:/// URI");
  declare_guest(options, guest);
  options.value("--attestation-token", &wanted.token_file, "file of a token that is there already")
      .flag("--raw", &wanted.raw, "the bytes themselves, instead of base64")
      .value("--output,-o", &wanted.output, "write the bytes to this file (mode 0600)");
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto secret = fetch(guest, wanted);
  if (!secret) {
    const int code = report(secret.error());
    // Asked and answered: no such resource, or not for us.
    const auto kind = secret.error().code();
    return kind == Code::kNotFound || kind == Code::kPermissionDenied ? kExitNegative : code;
  }
  if (const auto status = deliver(*secret, wanted); !status) return report(status.error());
  return kExitOk;
}

}  // namespace

Command kbs_attest() {
  return {.name = "kbs attest",
          .summary = "prove to a key broker what this machine is",
          .run = run_attest};
}

Command kbs_get_resource() {
  return {.name = "kbs get-resource",
          .summary = "attest, and get a secret from a key broker",
          .run = run_get_resource};
}

}  // namespace coffer::cli
