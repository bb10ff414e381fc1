#include "attestation/client/kbs_client.h"

#include <fmt/format.h>

#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "attestation/jose/jwe.h"
#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/protocol/messages.h"
#include "attestation/protocol/report_data.h"
#include "base/json.h"

namespace coffer::client {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr long kOk = 200;
constexpr long kUnauthorized = 401;
constexpr std::size_t kMaxUrl = 2048;

std::chrono::microseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
}

Status check_settings(KbsSettings& settings) {
  auto& url = settings.url;
  while (url.ends_with('/')) url.pop_back();
  const auto refuse = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("KBS URL '{}': {}", url, why));
  };
  if (!url.starts_with("https://") && !url.starts_with("http://")) {
    return refuse("want https://HOST[:PORT] or http://HOST[:PORT]");
  }
  if (url.size() > kMaxUrl || url.find_first_of("?# \r\n") != std::string::npos) {
    return refuse("too long, or with a query, fragment or blank");
  }
  if (settings.key_type != jose::KeyType::kEcP256 && settings.key_type != jose::KeyType::kEcP521 &&
      settings.key_type != jose::KeyType::kRsa) {
    return fail(Code::kInvalidArgument,
                fmt::format("KBS client's key: {} is not supported; use EC P-256, EC P-521 or RSA",
                            jose::key_type_name(settings.key_type)));
  }
  return {};
}

bool worth_retrying(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded;
}

}  // namespace

KbsClient::KbsClient(KbsSettings settings, EvidenceSource* source, jose::PrivateKey key,
                     http::Client http, Environment environment)
    : settings_(std::move(settings)),
      source_(source),
      key_(std::move(key)),
      http_(std::move(http)),
      environment_(std::move(environment)) {
  if (!environment_.now) {
    environment_.now = [] { return static_cast<std::int64_t>(std::time(nullptr)); };
  }
  if (!environment_.sleep) {
    environment_.sleep = [](milliseconds delay) { std::this_thread::sleep_for(delay); };
  }
}

Result<KbsClient> KbsClient::build(KbsSettings settings, EvidenceSource* source,
                                   jose::PrivateKey key, Environment environment) {
  settings.key_type = key.type();
  COFFER_TRY_VOID(check_settings(settings));
  COFFER_TRY(http::Client http, http::Client::make(settings.http));
  return KbsClient(std::move(settings), source, std::move(key), std::move(http),
                   std::move(environment));
}

Result<KbsClient> KbsClient::make(KbsSettings settings, EvidenceSource& source,
                                  Environment environment) {
  COFFER_TRY_VOID(check_settings(settings));
  COFFER_TRY(jose::PrivateKey key, jose::PrivateKey::generate(settings.key_type));
  return build(std::move(settings), &source, std::move(key), std::move(environment));
}

Result<KbsClient> KbsClient::make_with_key(KbsSettings settings, EvidenceSource& source,
                                           jose::PrivateKey key, Environment environment) {
  return build(std::move(settings), &source, std::move(key), std::move(environment));
}

Result<KbsClient> KbsClient::make_with_token(KbsSettings settings, std::string token,
                                             jose::PrivateKey key, Environment environment) {
  settings.mode = Mode::kBearer;
  COFFER_TRY(KbsClient client,
             build(std::move(settings), nullptr, std::move(key), std::move(environment)));
  COFFER_TRY_VOID(client.adopt_token(std::move(token)));
  return client;
}

std::string KbsClient::url_of(std::string_view action) const {
  return fmt::format("{}{}{}", settings_.url, protocol::kPathPrefix, action);
}

KbsClient::Attempt<http::Response> KbsClient::send(const http::Request& request) {
  auto response = http_.send(request);
  if (!response) {
    const bool retry = worth_retrying(response.error().code());
    return std::unexpected(Failure{.error = std::move(response.error()), .retry = retry});
  }
  if (response->status == kOk) {
    last_refusal_.reset();
  } else {
    last_refusal_ = read_refusal(*response);
  }
  return *std::move(response);
}

KbsClient::Attempt<std::string> KbsClient::post(std::string_view action, std::string body) {
  const std::string url = url_of(action);
  const http::Request request{.method = "POST",
                              .url = url,
                              .headers = {{"content-type", "application/json"}},
                              .body = std::move(body)};
  auto response = send(request);
  if (!response) return std::unexpected(std::move(response.error()));
  if (response->status == kOk) return std::move(response->body);
  Error error = to_error(*last_refusal_, "POST " + url);
  // Trustee answers 401 to everything, a lost session among it. A record's id means that the
  // evidence was looked at: the same again will fare no better.
  const bool lost = response->status == kUnauthorized && error.code() == Code::kUnauthenticated &&
                    last_refusal_->info.attestation_id.empty();
  const bool retry = lost || worth_retrying(error.code());
  return std::unexpected(Failure{.error = std::move(error), .retry = retry});
}

KbsClient::Attempt<std::string> KbsClient::make_attestation(const std::string& challenge_body) {
  const auto build = [&]() -> Result<std::string> {
    COFFER_TRY(const auto challenge, protocol::parse_challenge(challenge_body));
    COFFER_TRY(const auto hash, challenge.selected_hash());
    protocol::Attestation message;
    message.nonce = challenge.nonce;
    COFFER_TRY(message.tee_pubkey, jose::to_tee_pubkey(key_.public_key()));
    COFFER_TRY(const Bytes report_data,
               protocol::primary_report_data(challenge.nonce, message.tee_pubkey, "", hash));
    COFFER_TRY(message.primary_evidence, source_->evidence(report_data));
    if (settings_.init_data) {
      message.init_data = protocol::InitData{.format = "toml", .body = *settings_.init_data};
    }
    return protocol::serialise(message);
  };
  auto body = build();
  if (body) return *std::move(body);
  const bool retry = worth_retrying(body.error().code());
  return std::unexpected(Failure{
      .error =
          std::move(body.error())
              .with_context(fmt::format("make {} evidence", protocol::tee_name(source_->tee()))),
      .retry = retry});
}

KbsClient::Attempt<std::string> KbsClient::handshake() {
  http_.forget_cookies();
  session_ = false;
  protocol::Request request;
  request.tee = source_->tee();
  request.extra_params = {{"supported-hash-algorithms", {"sha256", "sha384", "sha512"}}};
  auto start = Clock::now();
  auto challenge = post("auth", protocol::serialise(request));
  times_.auth = since(start);
  if (!challenge) return challenge;
  start = Clock::now();
  auto attestation = make_attestation(*challenge);
  times_.evidence = since(start);
  if (!attestation) return attestation;
  start = Clock::now();
  auto reply = post("attest", *std::move(attestation));
  times_.attest = since(start);
  if (!reply) return reply;
  auto response = protocol::parse_response(*reply);
  if (!response) return std::unexpected(Failure{.error = std::move(response.error())});
  return std::move(response->token);
}

Status KbsClient::adopt_token(std::string token) {
  COFFER_TRY(const jose::Jws jws, jose::parse_jws(token));
  COFFER_TRY(const Json claims, parse_json(jws.payload, "token"));
  token_expiry_ = jose::token_expiry(claims).value_or(std::numeric_limits<std::int64_t>::max());
  token_ = std::move(token);
  return {};
}

Result<std::string> KbsClient::attest() {
  if (source_ == nullptr) {
    return fail(Code::kFailedPrecondition,
                "attest: this client was given a token, and nothing to make evidence with");
  }
  milliseconds delay = settings_.first_delay;
  for (unsigned attempt = 1;; ++attempt) {
    auto token = handshake();
    if (token) {
      if (const auto adopted = adopt_token(*std::move(token)); !adopted) {
        return fail(Error(adopted.error()).with_context("read token of KBS " + settings_.url));
      }
      session_ = true;
      return token_;
    }
    Failure& failure = token.error();
    if (!failure.retry || attempt >= settings_.handshake_attempts) {
      const std::string times = attempt > 1 ? fmt::format(", tried {} times", attempt) : "";
      return fail(std::move(failure.error)
                      .with_context(fmt::format("attest to KBS {}{}", settings_.url, times)));
    }
    environment_.sleep(delay);
    delay *= 2;
  }
}

Result<std::string> KbsClient::token() {
  const auto left = token_expiry_ - environment_.now();
  const auto margin = source_ == nullptr ? 0 : settings_.token_margin.count();
  if (!token_.empty() && left > margin) return token_;
  if (source_ == nullptr) {
    return fail(Code::kUnauthenticated,
                fmt::format("token: it expired {} seconds ago; attest anew", -left));
  }
  return attest();
}

Status KbsClient::ensure_session() {
  if (settings_.mode == Mode::kCookie && session_) return {};
  const auto token = settings_.mode == Mode::kCookie ? attest() : this->token();
  if (!token) return fail(token.error());
  return {};
}

KbsClient::Attempt<std::optional<std::string>> KbsClient::fetch(const std::string& url) {
  http::Request request{.url = url};
  if (settings_.mode == Mode::kBearer) {
    request.headers.emplace_back("authorization", "Bearer " + token_);
  }
  auto response = send(request);
  if (!response) return std::unexpected(std::move(response.error()));
  if (response->status == kOk) return std::move(response->body);
  Error error = to_error(*last_refusal_, "GET " + url);
  if (error.code() == Code::kUnauthenticated && source_ != nullptr) return std::nullopt;
  const bool retry = worth_retrying(error.code());
  return std::unexpected(Failure{.error = std::move(error), .retry = retry});
}

Result<SecretBytes> KbsClient::get_resource(const protocol::ResourceUri& uri) {
  const std::string url = url_of(uri.request_path());
  const auto context = fmt::format("get resource '{}'", uri.request_path());
  milliseconds delay = settings_.first_delay;
  for (unsigned attempt = 1;; ++attempt) {
    if (auto ready = ensure_session(); !ready) {
      return fail(std::move(ready.error()).with_context(context));
    }
    auto body = fetch(url);
    if (body && *body) {
      const auto open = [&]() -> Result<SecretBytes> {
        COFFER_TRY(const jose::Jwe jwe, jose::parse_jwe(**body));
        return jose::decrypt_jwe(key_, jwe);
      };
      auto secret = open();
      if (!secret) return fail(std::move(secret.error()).with_context(context));
      return secret;
    }
    const bool last = attempt >= settings_.resource_attempts;
    if (body) {  // 401
      if (last) return fail(to_error(*last_refusal_, "GET " + url).with_context(context));
      session_ = false;
      token_.clear();
      continue;
    }
    if (last || !body.error().retry) {
      return fail(std::move(body.error().error).with_context(context));
    }
    environment_.sleep(delay);
    delay *= 2;
  }
}

}  // namespace coffer::client
