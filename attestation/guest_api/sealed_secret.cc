#include "attestation/guest_api/sealed_secret.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/jose/key_wrap.h"
#include "base/fd.h"
#include "base/json.h"

namespace coffer::guest_api {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kPrefix = "sealed.";
constexpr std::string_view kVersion = "0.1.0";
constexpr std::size_t kMaxSealed = std::size_t{1} << 20U;
constexpr std::size_t kMaxKey = std::size_t{16} << 10U;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("unseal secret: {}", why));
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

Result<std::string> key_text(const std::string& kid, const FetchResource& fetch,
                             const UnsealRules& rules) {
  if (kid.starts_with("kbs:")) {
    COFFER_TRY(const auto uri, protocol::parse_resource_uri(kid));
    COFFER_TRY(const SecretBytes jwk, fetch(uri));
    return std::string(as_text(jwk.view()));
  }
  if (!is_file_name(kid)) {
    return refuse(fmt::format("its 'kid' is '{}', neither a kbs:/// URI nor a file's name", kid));
  }
  return read_file(rules.key_folder / kid, kMaxKey);
}

Result<std::string> verified_payload(std::string_view compact, const FetchResource& fetch,
                                     const UnsealRules& rules) {
  COFFER_TRY(jose::Jws jws, jose::parse_jws(compact, kMaxSealed));
  if (jws.alg != "ES256") {
    return refuse(fmt::format("it is signed with '{}', want ES256", jws.alg));
  }
  COFFER_TRY(const std::string text, key_text(jws.kid, fetch, rules));
  COFFER_TRY(const jose::Jwk key, jose::parse_jwk_text(text));
  COFFER_TRY_VOID(jose::verify_jws(jws, key.key));
  return std::move(jws.payload);
}

// Manifests in the wild have words that are no base64 for header and signature.
Result<std::string> unverified_payload(std::string_view compact) {
  if (compact.size() > kMaxSealed || std::count(compact.begin(), compact.end(), '.') != 2) {
    return refuse("want four parts with dots between");
  }
  const auto first = compact.find('.');
  const auto second = compact.find('.', first + 1);
  COFFER_TRY(const Bytes payload, from_base64url(compact.substr(first + 1, second - first - 1)));
  return std::string(as_text(payload));
}

Result<std::string> text_of(const Json& payload, const char* name) {
  if (!payload.contains(name) || !payload[name].is_string()) {
    return refuse(fmt::format("it has no text '{}'", name));
  }
  return payload[name].get<std::string>();
}

Result<Bytes> base64_of(const Json& payload, const char* name) {
  COFFER_TRY(const std::string text, text_of(payload, name));
  auto bytes = from_base64(text);
  if (!bytes) return refuse(fmt::format("'{}': {}", name, bytes.error().message()));
  return bytes;
}

Result<SecretBytes> fetch_named(const Json& payload, const char* name, const FetchResource& fetch) {
  COFFER_TRY(const std::string text, text_of(payload, name));
  COFFER_TRY(const auto uri, protocol::parse_resource_uri(text));
  return fetch(uri);
}

Result<SecretBytes> open_gcm(BytesView key, BytesView iv, BytesView sealed) {
  if (sealed.size() < jose::kGcmTagBytes) return refuse("the ciphertext is shorter than its tag");
  const auto tag = sealed.last(jose::kGcmTagBytes);
  return jose::gcm_decrypt(key, iv, {}, sealed.first(sealed.size() - tag.size()), tag);
}

Result<SecretBytes> open_envelope(const Json& payload, const FetchResource& fetch) {
  COFFER_TRY(const std::string wrap_type, text_of(payload, "wrap_type"));
  if (wrap_type != "A256GCM") {
    return fail(
        Code::kUnimplemented,
        fmt::format("unseal secret: wrap type '{}' is not supported; A256GCM is", wrap_type));
  }
  COFFER_TRY(const Bytes wrapped, base64_of(payload, "encrypted_key"));
  COFFER_TRY(const Bytes data, base64_of(payload, "encrypted_data"));
  COFFER_TRY(const Bytes iv, base64_of(payload, "iv"));
  if (wrapped.size() < jose::kGcmIvBytes) return refuse("'encrypted_key' is too short");
  COFFER_TRY(const SecretBytes wrapping, fetch_named(payload, "key_id", fetch));
  const BytesView view(wrapped);
  COFFER_TRY(const SecretBytes key, open_gcm(wrapping.view(), view.first(jose::kGcmIvBytes),
                                             view.subspan(jose::kGcmIvBytes)));
  return open_gcm(key.view(), iv, data);
}

}  // namespace

bool is_sealed(std::string_view text) { return text.starts_with(kPrefix); }

Result<SecretBytes> unseal(std::string_view text, const FetchResource& fetch,
                           const UnsealRules& rules) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (!is_sealed(text)) return refuse("it does not begin with 'sealed.'");
  const auto compact = text.substr(kPrefix.size());
  COFFER_TRY(const std::string payload_text, rules.skip_verification
                                                 ? unverified_payload(compact)
                                                 : verified_payload(compact, fetch, rules));
  COFFER_TRY(const Json payload,
             parse_json(payload_text, "sealed secret", {.max_bytes = kMaxSealed, .max_depth = 8}));
  if (!payload.is_object()) return refuse("its payload is no object");
  COFFER_TRY(const std::string version, text_of(payload, "version"));
  if (version != kVersion) {
    return refuse(fmt::format("version '{}', want '{}'", version, kVersion));
  }
  COFFER_TRY(const std::string type, text_of(payload, "type"));
  COFFER_TRY(const std::string provider, text_of(payload, "provider"));
  if (type != "vault" && type != "envelope") return refuse(fmt::format("type '{}'", type));
  if (provider != "kbs") {
    return fail(Code::kUnimplemented,
                fmt::format("unseal secret: provider '{}' is not supported; kbs is", provider));
  }
  return type == "vault" ? fetch_named(payload, "name", fetch) : open_envelope(payload, fetch);
}

}  // namespace coffer::guest_api
