#include "attestation/kbs/sessions.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>

#include "attestation/jose/key_wrap.h"
#include "tee/digest.h"

namespace coffer::kbs {
namespace {

constexpr std::string_view kKeySpace = "kbs";
constexpr std::string_view kKeyName = "challenge-key";
constexpr std::string_view kSpace = "kbs_protocol_session";
// A mark for each session of Standing::kOther, so that they can be counted.
constexpr std::string_view kOtherSpace = "kbs_protocol_session_other";
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 32;
constexpr std::size_t kMaxCookie = 512;

Bytes random(std::size_t size) {
  auto bytes = jose::random_bytes(size);
  check(bytes.has_value(), "no random bytes");
  return *std::move(bytes);
}

std::string id_of(std::string_view nonce) {
  return to_hex(tee::sha256(as_bytes(nonce))).substr(0, 32);
}

std::unexpected<Error> lost(std::string why) {
  return fail(Code::kUnauthenticated, "use session: " + std::move(why));
}

}  // namespace

Result<Sessions> Sessions::open(store::Store& store, store::UnixTime lifetime, std::size_t limit) {
  Bytes fresh = random(kKeyBytes);
  COFFER_TRY([[maybe_unused]] const bool made, store.insert(kKeySpace, kKeyName, fresh));
  COFFER_TRY(auto entry, store.get(kKeySpace, kKeyName));
  SecretBytes unused(std::move(fresh));
  if (!entry || entry->value.size() != kKeyBytes) {
    return fail(Code::kDataLoss, "read the challenge key: it is not as written");
  }
  return Sessions(store, lifetime, limit, SecretBytes(std::move(entry->value)));
}

Bytes Sessions::mac(std::string_view text) const {
  Bytes out(32);
  unsigned size = 0;
  const auto* done = HMAC(EVP_sha256(), key_.view().data(), static_cast<int>(key_.size()),
                          as_bytes(text).data(), text.size(), out.data(), &size);
  check(done != nullptr && size == out.size(), "HMAC failed");
  return out;
}

Session Sessions::begin(protocol::Tee tee, store::UnixTime now) const {
  Session out{
      .id = {}, .nonce = to_base64(random(kNonceBytes)), .tee = tee, .expires = now + lifetime_};
  out.id = id_of(out.nonce);
  return out;
}

// TEE.EXPIRY.NONCE.MAC, the last two base64url.
std::string Sessions::seal(const Session& session) const {
  const auto nonce = from_base64(session.nonce);
  check(nonce.has_value(), "a nonce of ours is no base64");
  const std::string text = fmt::format("{}.{}.{}", protocol::tee_name(session.tee), session.expires,
                                       to_base64url(*nonce));
  return text + "." + to_base64url(mac(text));
}

Result<Session> Sessions::unseal(std::string_view value, store::UnixTime now) const {
  if (value.empty()) return lost("there is no cookie kbs-session-id (POST auth comes first)");
  const std::size_t dot = value.rfind('.');
  if (value.size() > kMaxCookie || dot == std::string_view::npos) return lost("it is none of ours");
  const std::string_view text = value.substr(0, dot);
  const auto given = from_base64url(value.substr(dot + 1));
  if (!given || !equal_constant_time(*given, mac(text))) return lost("it is none of ours");
  const std::size_t first = text.find('.');
  const std::size_t second = text.find('.', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return lost("malformed");
  Session out;
  COFFER_TRY(out.tee, protocol::parse_tee(text.substr(0, first)));
  const std::string_view expiry = text.substr(first + 1, second - first - 1);
  const auto parsed = std::from_chars(expiry.data(), expiry.data() + expiry.size(), out.expires);
  if (parsed.ec != std::errc()) return lost("malformed");
  COFFER_TRY(const Bytes nonce, from_base64url(text.substr(second + 1)));
  out.nonce = to_base64(nonce);
  out.id = id_of(out.nonce);
  if (now >= out.expires) {
    return lost(fmt::format("it expired {} s ago (it lives {} s)", now - out.expires, lifetime_));
  }
  return out;
}

Status Sessions::take_place(Standing standing, store::UnixTime now) {
  const bool other = standing == Standing::kOther;
  const std::size_t others_limit = limit_ / 2;
  const std::lock_guard lock(usage_->mutex);
  const auto full = [&] { return usage_->known >= limit_; };
  const auto full_of_others = [&] { return other && usage_->others >= others_limit; };
  if ((full() || full_of_others()) && usage_->counted != now) {
    COFFER_TRY([[maybe_unused]] const std::size_t gone, store_->purge());
    COFFER_TRY(usage_->known, store_->count(kSpace));
    COFFER_TRY(usage_->others, store_->count(kOtherSpace));
    usage_->counted = now;
  }
  if (full()) {
    return fail(Code::kUnavailable,
                fmt::format("open session: there are {} already, as many as there may be "
                            "(attestation_service.session_limit): try again later",
                            usage_->known));
  }
  if (full_of_others()) {
    return fail(Code::kUnavailable,
                fmt::format("open session: guests that the policy does not affirm have {} already, "
                            "the half of attestation_service.session_limit that may be theirs: try "
                            "again later",
                            usage_->others));
  }
  ++usage_->known;
  if (other) ++usage_->others;
  return {};
}

Result<std::vector<store::Write>> Sessions::spend(const Session& session, std::string_view token,
                                                  Standing standing, store::UnixTime now) {
  COFFER_TRY_VOID(take_place(standing, now));
  const auto write = [&](std::string_view space, std::string_view value) {
    return store::Write{.space = std::string(space),
                        .key = session.id,
                        .value = to_bytes(value),
                        .condition = store::Write::If::kAbsent,
                        .expires = session.expires};
  };
  // The session stands in one place whatever its standing, or a challenge could be spent twice.
  std::vector<store::Write> out = {write(kSpace, token)};
  if (standing != Standing::kAffirmed) out.push_back(write(kOtherSpace, ""));
  return out;
}

Result<std::optional<std::string>> Sessions::token(const Session& session) {
  COFFER_TRY(const auto entry, store_->get(kSpace, session.id));
  if (!entry) return std::optional<std::string>();
  return std::string(as_text(entry->value));
}

}  // namespace coffer::kbs
