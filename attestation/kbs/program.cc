#include "attestation/kbs/program.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "attestation/kbs/broker.h"
#include "attestation/kbs/config.h"
#include "attestation/kbs/grpc_server.h"
#include "attestation/kbs/init.h"
#include "attestation/kbs/journal.h"
#include "attestation/kbs/remote_endorsements.h"
#include "attestation/kbs/server.h"
#include "attestation/kbs/trust.h"
#include "attestation/service/default_policies.h"
#include "base/fd.h"
#include "rpc/protos/quiet.h"

namespace coffer::kbs {
namespace {

constexpr int kExitError = 2;
constexpr std::size_t kMaxKeyFile = 65536;
constexpr time_t kPurgeSeconds = 60;
constexpr store::UnixTime kDay = 86400;
constexpr std::string_view kUsage =
    "usage: coffer-kbs init --dir DIR [--name HOST]... [--socket ADDRESS:PORT] [--store STORE]\n"
    "       coffer-kbs serve --config FILE\n"
    "       coffer-kbs default-policy\n"
    "\n"
    "The key broker and attestation service. `init` makes an administrator's key, a TLS identity,\n"
    "a token signing key and a safe configuration; `serve` serves it. `default-policy` prints the\n"
    "appraisal policy that a new store gets: a store that is there keeps its own.\n"
    "\n"
    "example: coffer-kbs init --dir /etc/coffer-kbs --name kbs.example.org --socket 0.0.0.0:8080\n"
    "         coffer-kbs serve --config /etc/coffer-kbs/coffer-kbs.toml\n";

int report(const Error& error) {
  fmt::print(stderr, "coffer-kbs: {}\n", error.to_string());
  return kExitError;
}

Result<std::vector<jose::PublicKey>> read_keys(const std::vector<std::string>& files) {
  std::vector<jose::PublicKey> out;
  for (const auto& file : files) {
    COFFER_TRY(const std::string pem, read_file(file, kMaxKeyFile));
    auto key = jose::PublicKey::from_pem(pem);
    if (!key) return fail(std::move(key).error().with_context(fmt::format("read '{}'", file)));
    out.push_back(*std::move(key));
  }
  return out;
}

// From the file, or, for servers that share a store, from there.
Result<jose::PrivateKey> read_signing_key(const Config& config, store::Store& store) {
  if (!config.signer_key.empty()) {
    COFFER_TRY(const std::string pem, read_file(config.signer_key, kMaxKeyFile));
    auto key = jose::PrivateKey::from_pem(pem);
    if (key) return key;
    return fail(std::move(key).error().with_context(fmt::format("read '{}'", config.signer_key)));
  }
  COFFER_TRY(const auto fresh, jose::PrivateKey::generate(jose::KeyType::kEcP256));
  COFFER_TRY(const std::string pem, fresh.to_pem());
  COFFER_TRY([[maybe_unused]] const bool made, store.insert("kbs", "token-key", as_bytes(pem)));
  COFFER_TRY(const auto entry, store.get("kbs", "token-key"));
  if (!entry) return fail(Code::kDataLoss, "read the token signing key from the store");
  return jose::PrivateKey::from_pem(as_text(entry->value));
}

Result<ServerSettings> server_settings(const Config& config, std::size_t threads) {
  ServerSettings out{.sockets = config.sockets, .certificate_pem = {}, .private_key_pem = {}};
  out.max_body = static_cast<std::size_t>(config.payload_request_size) << 20U;
  out.threads = threads;
  out.max_connections = static_cast<std::size_t>(config.max_connections);
  out.max_connections_per_address = static_cast<std::size_t>(config.max_connections_per_address);
  out.body_memory = static_cast<std::size_t>(config.body_memory) << 20U;
  out.handshake_timeout = std::chrono::seconds(config.handshake_timeout);
  out.header_timeout = std::chrono::seconds(config.header_timeout);
  out.request_timeout = std::chrono::seconds(config.request_timeout);
  out.idle_timeout = std::chrono::seconds(config.idle_timeout);
  if (config.insecure_http) return out;
  COFFER_TRY(out.certificate_pem, read_file(config.certificate, kMaxKeyFile));
  COFFER_TRY(out.private_key_pem, read_file(config.private_key, kMaxKeyFile));
  return out;
}

// Null: the configuration asks for none.
Result<std::unique_ptr<GrpcServer>> start_grpc(const Config& config, const ServerSettings& http,
                                               AttestationApi& api) {
  if (config.grpc_socket.empty()) return std::unique_ptr<GrpcServer>();
  GrpcSettings settings{.socket = config.grpc_socket, .certificate_pem = {}, .private_key_pem = {}};
  settings.max_message = http.max_body;
  settings.threads = http.threads;
  settings.memory = http.body_memory;
  settings.max_connections = http.max_connections;
  settings.max_connections_per_address = http.max_connections_per_address;
  settings.on_refused = http.on_refused;
  if (!is_loopback(config.grpc_socket)) {
    settings.certificate_pem = http.certificate_pem;
    settings.private_key_pem = http.private_key_pem;
  }
  return GrpcServer::start(settings, api);
}

std::size_t threads_of(const Config& config) {
  if (config.worker_count > 0) return static_cast<std::size_t>(config.worker_count);
  return std::max(2U, std::thread::hardware_concurrency());
}

// Everything that outlives requests, in the order of its making.
struct Service {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<rv::ValueSet> values;
  std::unique_ptr<appraisal::Policies> policies;
  std::unique_ptr<appraisal::Records> records;
  std::unique_ptr<appraisal::EndorsementSource> endorsements;
  std::unique_ptr<appraisal::EvidenceVerifier> verifier;
  std::unique_ptr<appraisal::TokenSigner> signer;
  std::unique_ptr<appraisal::AttestationService> attestation;
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<AdminAuth> admin;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<Broker> broker;
  std::unique_ptr<AttestationApi> api;
};

Result<Service> assemble(const Config& config, std::size_t threads, Journal& journal) {
  Service s;
  const auto connections = static_cast<std::size_t>(config.connections);
  COFFER_TRY(s.store, store::open_store(config.store,
                                        {.connections = connections == 0 ? threads : connections}));
  s.values = std::make_unique<rv::ValueSet>(*s.store);
  s.policies = std::make_unique<appraisal::Policies>(*s.store, *s.values);
  COFFER_TRY_VOID(s.policies->install_defaults());
  s.records = std::make_unique<appraisal::Records>(*s.store, config.record_days * kDay,
                                                   static_cast<std::size_t>(config.record_limit));
  COFFER_TRY(auto trust, load_trust(config));
  COFFER_TRY(s.endorsements, make_remote_endorsements(config, *s.store, threads));
  s.verifier =
      std::make_unique<appraisal::EvidenceVerifier>(std::move(trust), s.endorsements.get());
  COFFER_TRY(auto key, read_signing_key(config, *s.store));
  COFFER_TRY(auto signer,
             appraisal::TokenSigner::make(
                 std::move(key), {.issuer = config.issuer, .lifetime = config.token_lifetime}));
  s.signer = std::make_unique<appraisal::TokenSigner>(std::move(signer));
  s.attestation = std::make_unique<appraisal::AttestationService>(*s.verifier, *s.policies,
                                                                  *s.records, *s.signer);
  COFFER_TRY(auto sessions, Sessions::open(*s.store, config.challenge_lifetime,
                                           static_cast<std::size_t>(config.session_limit)));
  s.sessions = std::make_unique<Sessions>(std::move(sessions));
  COFFER_TRY(auto admin_keys, read_keys(config.admin_public_keys));
  COFFER_TRY(auto value_keys, read_keys(config.value_keys));
  const rv::Signers signers{.keys = std::move(value_keys),
                            .required = config.require_value_signature};
  s.admin = std::make_unique<AdminAuth>(std::move(admin_keys));
  s.metrics = std::make_unique<Metrics>();
  s.broker = std::make_unique<Broker>(BrokerParts{.store = *s.store,
                                                  .values = *s.values,
                                                  .policies = *s.policies,
                                                  .records = *s.records,
                                                  .service = *s.attestation,
                                                  .signer = *s.signer,
                                                  .sessions = *s.sessions,
                                                  .admin = *s.admin,
                                                  .metrics = *s.metrics,
                                                  .policy_id = config.policy_id,
                                                  .clock = store::system_clock,
                                                  .require_affirming = config.require_affirming,
                                                  .secure_cookie = !config.insecure_http,
                                                  .signers = signers});
  s.api = std::make_unique<AttestationApi>(
      AttestationApiParts{.values = *s.values,
                          .policies = *s.policies,
                          .service = *s.attestation,
                          .admin = *s.admin,
                          .metrics = *s.metrics,
                          .policy_id = config.policy_id,
                          .clock = store::system_clock,
                          .on_internal =
                              [&journal](const Error& error) {
                                journal.fault("an evaluation failed", error.to_string());
                              },
                          .signers = signers});
  return s;
}

// As many file descriptors as there may be connections, with some for the store and for files.
void raise_descriptor_limit(const Config& config, Journal& journal) {
  constexpr rlim_t kOthers = 256;
  // The attestation service's port has as many connections, with two descriptors for each.
  const rlim_t each = config.grpc_socket.empty() ? 1 : 3;
  const rlim_t want = each * static_cast<rlim_t>(config.max_connections) + kOthers;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want) return;
  limit.rlim_cur = std::min(want, limit.rlim_max);
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < want) {
    journal.say(LogLevel::kWarn, "http_server.max_connections is more than descriptors allow",
                fmt::format("RLIMIT_NOFILE is {}, want {}", limit.rlim_cur, want));
  }
}

// Ends the server on SIGTERM and SIGINT; sweeps the store meanwhile.
void watch(const sigset_t& signals, Server& server, store::Store& store, Journal& journal) {
  for (;;) {
    const timespec wait{.tv_sec = kPurgeSeconds, .tv_nsec = 0};
    const int signal = sigtimedwait(&signals, nullptr, &wait);
    if (signal > 0) return server.stop();
    if (const auto purged = store.purge(); !purged) {
      journal.say(LogLevel::kWarn, "purge failed", purged.error().to_string());
    }
  }
}

int serve(const std::string& file) {
  ignore_sigpipe();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto config = load_config(file);
  if (!config) return report(config.error());
  const auto level = parse_log_level(config->log_level);
  if (!level) return report(level.error());
  Journal journal(Logger(LogSink::to_stderr(), LogFormat::kLogrus, *level));
  const std::size_t threads = threads_of(*config);
  const auto service = assemble(*config, threads, journal);
  if (!service) return report(service.error());
  auto settings = server_settings(*config, threads);
  if (!settings) return report(settings.error());
  raise_descriptor_limit(*config, journal);
  settings->on_refused = [&](std::string_view reason) {
    service->metrics->count("kbs_connections_refused_total",
                            fmt::format("{{limit=\"{}\"}}", reason));
  };
  settings->on_thrown = [&](std::string_view what) {
    journal.say(LogLevel::kError, "a request failed unforeseen", what);
  };
  const auto handler = [&](const HttpRequest& request) {
    const auto start = std::chrono::steady_clock::now();
    HttpReply reply = service->broker->handle(request);
    const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - start);
    service->metrics->observe_request(spent, request.body.size(), reply.body.size());
    journal.request(request, reply, spent.count());
    return reply;
  };
  const auto grpc = start_grpc(*config, *settings, *service->api);
  if (!grpc) return report(grpc.error());
  const auto server = Server::listen(*std::move(settings), handler);
  if (!server) return report(server.error());
  if (*grpc != nullptr) fmt::print("attestation service on {}\n", (*grpc)->address());
  for (const auto& address : (*server)->addresses()) {
    fmt::print("listening on {}://{}\n", config->insecure_http ? "http" : "https", address);
  }
  std::fflush(stdout);
  journal.say(LogLevel::kInfo, "serving", service->store->describe());
  if (const auto known = service->policies->default_is_built_in(); known && !*known) {
    journal.say(LogLevel::kInfo, "the store's appraisal policy 'default' is not this version's own",
                "coffer-kbs default-policy prints that");
  }
  if (config->allow_sample) {
    journal.say(LogLevel::kWarn, "evidence of 'sample' is accepted, which proves nothing",
                "verifier.allow_sample");
  }
  std::thread watcher([&] { watch(signals, **server, *service->store, journal); });
  (*server)->run();
  watcher.join();
  return 0;
}

// "--name value" pairs, which is all that there is here.
Status read_options(const std::vector<std::string>& args,
                    const std::function<bool(const std::string&, const std::string&)>& take) {
  for (std::size_t i = 1; i < args.size(); i += 2) {
    if (i + 1 == args.size() || !take(args[i], args[i + 1])) {
      return fail(Code::kInvalidArgument, fmt::format("option '{}': unknown, or without its value "
                                                      "(see coffer-kbs --help)",
                                                      args[i]));
    }
  }
  return {};
}

int run_init(const std::vector<std::string>& args) {
  InitSettings settings;
  const auto status = read_options(args, [&](const std::string& name, const std::string& value) {
    if (name == "--dir")
      settings.folder = value;
    else if (name == "--name")
      settings.names.push_back(value);
    else if (name == "--socket")
      settings.socket = value;
    else if (name == "--store")
      settings.store = value;
    else
      return false;
    return true;
  });
  if (!status) return report(status.error());
  if (settings.folder.empty())
    return report(Error(Code::kInvalidArgument, "init: --dir is needed"));
  if (const auto made = init(settings); !made) return report(made.error());
  fmt::print(
      "made {0}: coffer-kbs.toml, admin.key (keep it elsewhere), tls.pem (give it to guests)\n"
      "next: coffer-kbs serve --config {0}/coffer-kbs.toml\n",
      settings.folder.string());
  return 0;
}

int run_serve(const std::vector<std::string>& args) {
  std::string config;
  const auto status = read_options(args, [&](const std::string& name, const std::string& value) {
    config = value;
    return name == "--config" || name == "-c" || name == "--config-file";
  });
  if (!status) return report(status.error());
  if (config.empty()) return report(Error(Code::kInvalidArgument, "serve: --config is needed"));
  return serve(config);
}

}  // namespace

int run_program(const std::vector<std::string>& args) {
  const std::string command = args.empty() ? "" : args.front();
  const bool help = std::ranges::find(args, "--help") != args.end();
  if (help) {
    fmt::print("{}", kUsage);
    return 0;
  }
  if (command == "--version") {
    fmt::print("coffer-kbs " COFFER_VERSION "\n");
    return 0;
  }
  if (command == "init") return run_init(args);
  silence_protobuf();
  if (command == "serve") return run_serve(args);
  if (command == "default-policy" && args.size() == 1) {
    fmt::print("{}", appraisal::default_cpu_policy());
    return 0;
  }
  fmt::print(stderr, "{}", kUsage);
  return kExitError;
}

}  // namespace coffer::kbs
