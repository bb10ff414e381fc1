#include "attestation/jose/jwe.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "attestation/jose/jwk.h"
#include "attestation/jose/key_wrap.h"
#include "base/json.h"

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxJweBytes = std::size_t{32} << 20U;
constexpr std::size_t kMaxHeaderBytes = std::size_t{16} << 10U;
constexpr std::string_view kEcdhAlg = "ECDH-ES+A256KW";
constexpr std::string_view kRsaAlg = "RSA-OAEP-256";
constexpr std::string_view kEnc = "A256GCM";

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read JWE: {}", why));
}

struct Member {
  const char* name;
  std::string Jwe::* field;
};
constexpr std::array<Member, 5> kMembers{{{"protected", &Jwe::protected_header},
                                          {"encrypted_key", &Jwe::encrypted_key},
                                          {"iv", &Jwe::iv},
                                          {"ciphertext", &Jwe::ciphertext},
                                          {"tag", &Jwe::tag}}};

Result<Bytes> decode(std::string_view text, std::string_view name) {
  auto bytes = from_base64url(text);
  if (!bytes) return refuse(fmt::format("member '{}': {}", name, bytes.error().message()));
  return bytes;
}

Result<std::string> header_text(const Json& header, const char* name) {
  const auto at = header.find(name);
  if (at == header.end() || !at->is_string()) {
    return refuse(fmt::format("the header has no text '{}'", name));
  }
  return at->get<std::string>();
}

// Absent is empty.
Result<Bytes> party_info(const Json& header, const char* name) {
  if (!header.contains(name)) return Bytes{};
  COFFER_TRY(const std::string text, header_text(header, name));
  return decode(text, name);
}

bool ecdh_capable(KeyType type) { return type == KeyType::kEcP256 || type == KeyType::kEcP521; }

struct Recipient {
  std::string header;  // compact JSON
  Bytes encrypted_key;
};

Result<Recipient> wrap_for_ec(const PublicKey& recipient, BytesView content_key) {
  COFFER_TRY(const PrivateKey ephemeral, PrivateKey::generate(recipient.type()));
  COFFER_TRY(const SecretBytes shared, ecdh(ephemeral, recipient));
  COFFER_TRY(const SecretBytes key, concat_kdf(shared.view(), kEcdhAlg, {}, {}, kAes256Bytes));
  COFFER_TRY(Bytes wrapped, aes_key_wrap(key.view(), content_key));
  COFFER_TRY(const EcCoordinates point, ephemeral.public_key().ec());
  return Recipient{
      .header = fmt::format(
          R"({{"alg":"{}","enc":"{}","epk":{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}}})",
          kEcdhAlg, kEnc, recipient.type() == KeyType::kEcP256 ? "P-256" : "P-521",
          to_base64url(point.x), to_base64url(point.y)),
      .encrypted_key = std::move(wrapped)};
}

Result<Recipient> wrap_for(const PublicKey& recipient, BytesView content_key) {
  if (ecdh_capable(recipient.type())) return wrap_for_ec(recipient, content_key);
  if (recipient.type() != KeyType::kRsa) {
    return fail(Code::kInvalidArgument, fmt::format("encrypt JWE: no algorithm for a key of {}",
                                                    key_type_name(recipient.type())));
  }
  COFFER_TRY(Bytes encrypted, rsa_oaep_encrypt(recipient, content_key));
  return Recipient{.header = fmt::format(R"({{"alg":"{}","enc":"{}"}})", kRsaAlg, kEnc),
                   .encrypted_key = std::move(encrypted)};
}

Result<SecretBytes> unwrap_ec(const PrivateKey& key, const Json& header, BytesView wrapped) {
  const auto epk = header.find("epk");
  if (epk == header.end()) return refuse("the header has no 'epk'");
  COFFER_TRY(const Jwk ephemeral, parse_jwk(*epk));
  if (ephemeral.key.type() != key.type()) {
    return refuse(fmt::format("'epk' is {}, our key is {}", key_type_name(ephemeral.key.type()),
                              key_type_name(key.type())));
  }
  COFFER_TRY(const Bytes party_u, party_info(header, "apu"));
  COFFER_TRY(const Bytes party_v, party_info(header, "apv"));
  COFFER_TRY(const SecretBytes shared, ecdh(key, ephemeral.key));
  COFFER_TRY(const SecretBytes wrapping,
             concat_kdf(shared.view(), kEcdhAlg, party_u, party_v, kAes256Bytes));
  return aes_key_unwrap(wrapping.view(), wrapped);
}

Result<Json> read_header(const Jwe& jwe) {
  COFFER_TRY(const Bytes bytes, decode(jwe.protected_header, "protected"));
  COFFER_TRY(Json header, parse_json(as_text(bytes), "JWE header",
                                     {.max_bytes = kMaxHeaderBytes, .max_depth = 8}));
  if (!header.is_object()) return refuse("the header is no object");
  if (header.contains("crit")) return refuse("the header has critical extensions");
  if (header.contains("zip")) return refuse("the header asks for decompression");
  COFFER_TRY(const std::string enc, header_text(header, "enc"));
  if (enc != kEnc) return refuse(fmt::format("'enc' is '{}', want '{}'", enc, kEnc));
  return header;
}

}  // namespace

Result<Jwe> parse_jwe(std::string_view json) {
  COFFER_TRY(const Json value,
             parse_json(json, "JWE", {.max_bytes = kMaxJweBytes, .max_depth = 4}));
  if (!value.is_object()) return refuse("it is no object");
  Jwe jwe;
  for (const auto& member : kMembers) {
    const auto at = value.find(member.name);
    if (at == value.end() || !at->is_string()) {
      return refuse(fmt::format("no text '{}'", member.name));
    }
    jwe.*member.field = at->get<std::string>();
  }
  if (value.size() != kMembers.size()) return refuse("it has members beside the flattened form's");
  return jwe;
}

std::string serialise_jwe(const Jwe& jwe) {
  // All are base64url: nothing to escape.
  return fmt::format(
      R"({{"protected":"{}","encrypted_key":"{}","iv":"{}","ciphertext":"{}","tag":"{}"}})",
      jwe.protected_header, jwe.encrypted_key, jwe.iv, jwe.ciphertext, jwe.tag);
}

Result<Jwe> encrypt_jwe(const PublicKey& recipient, BytesView plaintext) {
  COFFER_TRY(Bytes random, random_bytes(kAes256Bytes));
  const SecretBytes content_key(std::move(random));
  COFFER_TRY(const Recipient wrapped, wrap_for(recipient, content_key.view()));
  COFFER_TRY(const Bytes iv, random_bytes(kGcmIvBytes));
  Jwe jwe;
  jwe.protected_header = to_base64url(as_bytes(wrapped.header));
  COFFER_TRY(const Sealed sealed,
             gcm_encrypt(content_key.view(), iv, as_bytes(jwe.protected_header), plaintext));
  jwe.encrypted_key = to_base64url(wrapped.encrypted_key);
  jwe.iv = to_base64url(iv);
  jwe.ciphertext = to_base64url(sealed.ciphertext);
  jwe.tag = to_base64url(sealed.tag);
  return jwe;
}

Result<SecretBytes> decrypt_jwe(const PrivateKey& key, const Jwe& jwe) {
  COFFER_TRY(const Json header, read_header(jwe));
  COFFER_TRY(const std::string alg, header_text(header, "alg"));
  COFFER_TRY(const Bytes encrypted_key, decode(jwe.encrypted_key, "encrypted_key"));
  const bool ec = ecdh_capable(key.type());
  const std::string_view want = ec ? kEcdhAlg : kRsaAlg;
  if (alg != want || (!ec && key.type() != KeyType::kRsa)) {
    return refuse(fmt::format("'alg' is '{}', our key is {}", alg, key_type_name(key.type())));
  }
  COFFER_TRY(const SecretBytes content_key,
             ec ? unwrap_ec(key, header, encrypted_key) : rsa_oaep_decrypt(key, encrypted_key));
  COFFER_TRY(const Bytes iv, decode(jwe.iv, "iv"));
  COFFER_TRY(const Bytes ciphertext, decode(jwe.ciphertext, "ciphertext"));
  COFFER_TRY(const Bytes tag, decode(jwe.tag, "tag"));
  return gcm_decrypt(content_key.view(), iv, as_bytes(jwe.protected_header), ciphertext, tag);
}

}  // namespace coffer::jose
