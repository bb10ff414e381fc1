#include "policy/builtins/keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <optional>

#include "base/openssl.h"
#include "policy/value/json.h"

namespace coffer::policy {

void FreeKey::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

namespace {

using openssl::Bio;
using Bn = openssl::BigNum;
using openssl::ParamBuilder;
using openssl::Params;
using KeyContext = openssl::PkeyContext;
using DigestContext = openssl::MdContext;
using Signature = openssl::EcdsaSig;
using openssl::Certificate;

const unsigned char* bytes(std::string_view text) { return as_bytes(text).data(); }

const EVP_MD* digest_of(std::string_view algorithm) {
  if (algorithm.ends_with("256")) return EVP_sha256();
  if (algorithm.ends_with("384")) return EVP_sha384();
  if (algorithm.ends_with("512")) return EVP_sha512();
  return nullptr;
}

std::string member(const Value& jwk, std::string_view name) {
  const Value* found = jwk.find(name);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

// A base64url member, padded or not; nullopt when it is absent or malformed.
std::optional<std::string> binary(const Value& jwk, std::string_view name) {
  std::string text = member(jwk, name);
  while (text.ends_with('=')) text.pop_back();
  if (text.empty()) return std::nullopt;
  const auto decoded = from_base64url(text);
  if (!decoded) return std::nullopt;
  return std::string(as_text(*decoded));
}

KeyPtr build_key(const char* type, OSSL_PARAM_BLD* builder, bool is_private) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) <= 0)
    return nullptr;
  const int selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  if (EVP_PKEY_fromdata(context.get(), &key, selection, params.get()) <= 0) return nullptr;
  return KeyPtr(key);
}

KeyPtr rsa_key(const Value& jwk) {
  static constexpr std::pair<const char*, const char*> kParts[] = {
      {"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
      {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
      {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
      {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  std::vector<Bn> numbers;
  for (const auto& [name, parameter] : kParts) {
    const auto value = binary(jwk, name);
    if (!value) {
      if (numbers.size() < 2) return nullptr;
      continue;
    }
    if (value->size() > 2048) return nullptr;
    numbers.emplace_back(BN_bin2bn(bytes(*value), static_cast<int>(value->size()), nullptr));
    if (OSSL_PARAM_BLD_push_BN(builder.get(), parameter, numbers.back().get()) == 0) return nullptr;
  }
  return build_key("RSA", builder.get(), binary(jwk, "d").has_value());
}

KeyPtr ec_key(const Value& jwk) {
  struct Curve {
    std::string_view name;
    const char* group;
    std::size_t size;
  };
  static constexpr Curve kCurves[] = {
      {"P-256", "P-256", 32}, {"P-384", "P-384", 48}, {"P-521", "P-521", 66}};
  const Curve* curve = nullptr;
  const std::string name = member(jwk, "crv");
  for (const Curve& candidate : kCurves)
    if (candidate.name == name) curve = &candidate;
  const auto x = binary(jwk, "x");
  const auto y = binary(jwk, "y");
  if (curve == nullptr || !x || !y || x->size() > curve->size || y->size() > curve->size)
    return nullptr;
  const auto padded = [&](const std::string& number) {
    return std::string(curve->size - number.size(), '\0') + number;
  };
  const std::string point = "\x04" + padded(*x) + padded(*y);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  Bn secret;
  if (const auto d = binary(jwk, "d"); d && d->size() <= curve->size) {
    secret.reset(BN_bin2bn(bytes(*d), static_cast<int>(d->size()), nullptr));
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get());
  }
  return build_key("EC", builder.get(), secret != nullptr);
}

KeyPtr edwards_key(const Value& jwk) {
  if (member(jwk, "crv") != "Ed25519") return nullptr;
  if (const auto d = binary(jwk, "d"))
    return KeyPtr(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(*d), d->size()));
  const auto x = binary(jwk, "x");
  if (!x) return nullptr;
  return KeyPtr(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(*x), x->size()));
}

Result<std::vector<JsonWebKey>> pem_keys(std::string_view text) {
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1)
    return fail(Code::kFailedPrecondition, "failed to parse a JWK key (set)");
  const std::string type(name);
  const std::string der(as_text({data, static_cast<std::size_t>(size)}));
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(data);
  char rest = 0;
  if (BIO_read(bio.get(), &rest, 1) == 1)
    return fail(Code::kFailedPrecondition, "extra data after a PEM certificate block");
  const unsigned char* at = bytes(der);
  JsonWebKey out;
  if (type == "CERTIFICATE") {
    const Certificate certificate(d2i_X509(nullptr, &at, size));
    if (certificate == nullptr)
      return fail(Code::kFailedPrecondition, "failed to parse a PEM certificate");
    out.key.reset(X509_get_pubkey(certificate.get()));
  } else if (type == "PUBLIC KEY") {
    out.key.reset(d2i_PUBKEY(nullptr, &at, size));
  } else {
    return fail(Code::kFailedPrecondition, "failed to extract a Key from the PEM certificate");
  }
  if (out.key == nullptr)
    return fail(Code::kFailedPrecondition, "failed to parse a PEM public key");
  std::vector<JsonWebKey> keys;
  keys.push_back(std::move(out));
  return keys;
}

// r || s of JWS to the DER that OpenSSL wants, and back.
std::optional<std::string> der_signature(EVP_PKEY* key, std::string_view raw) {
  const std::size_t half = (static_cast<std::size_t>(EVP_PKEY_bits(key)) + 7) / 8;
  if (raw.size() != 2 * half) return std::nullopt;
  const Signature signature(ECDSA_SIG_new());
  ECDSA_SIG_set0(signature.get(), BN_bin2bn(bytes(raw), static_cast<int>(half), nullptr),
                 BN_bin2bn(bytes(raw.substr(half)), static_cast<int>(half), nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return std::nullopt;
  std::string out(as_text({der, static_cast<std::size_t>(size)}));
  OPENSSL_free(der);
  return out;
}

std::optional<std::string> raw_signature(EVP_PKEY* key, std::string_view der) {
  const std::size_t half = (static_cast<std::size_t>(EVP_PKEY_bits(key)) + 7) / 8;
  const unsigned char* at = bytes(der);
  const Signature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (signature == nullptr) return std::nullopt;
  Bytes out(2 * half);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out.data(), static_cast<int>(half)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out.data() + half, static_cast<int>(half)) <
          0)
    return std::nullopt;
  return std::string(as_text(out));
}

bool fits(std::string_view algorithm, EVP_PKEY* key) {
  const int id = EVP_PKEY_get_base_id(key);
  if (algorithm.starts_with("RS") || algorithm.starts_with("PS")) return id == EVP_PKEY_RSA;
  if (algorithm.starts_with("ES")) return id == EVP_PKEY_EC;
  return id == EVP_PKEY_ED25519;
}

bool set_padding(std::string_view algorithm, EVP_PKEY_CTX* context, bool verifying) {
  if (!algorithm.starts_with("PS")) return true;
  const int salt = verifying ? RSA_PSS_SALTLEN_AUTO : RSA_PSS_SALTLEN_DIGEST;
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) > 0;
}

}  // namespace

Result<JsonWebKey> key_of_jwk(const Value& jwk) {
  JsonWebKey out;
  if (jwk.is_object()) {
    const std::string type = member(jwk, "kty");
    out.id = member(jwk, "kid");
    out.algorithm = member(jwk, "alg");
    if (type == "oct") {
      if (auto secret = binary(jwk, "k")) {
        out.secret = std::move(*secret);
        return out;
      }
    } else {
      if (type == "RSA") out.key = rsa_key(jwk);
      if (type == "EC") out.key = ec_key(jwk);
      if (type == "OKP") out.key = edwards_key(jwk);
    }
  }
  ERR_clear_error();
  if (out.key == nullptr) return fail(Code::kFailedPrecondition, "failed to parse a JWK key (set)");
  return out;
}

Result<std::vector<JsonWebKey>> public_keys(std::string_view text) {
  if (text.find("-----BEGIN") != std::string_view::npos) {
    auto keys = pem_keys(text);
    ERR_clear_error();
    return keys;
  }
  const auto document = parse_json(text, "JWK");
  if (!document || !document->is_object())
    return fail(Code::kFailedPrecondition, "failed to parse a JWK key (set)");
  std::vector<JsonWebKey> out;
  const Value* set = document->find("keys");
  if (set == nullptr || !set->is_array()) {
    COFFER_TRY(auto key, key_of_jwk(*document));
    out.push_back(std::move(key));
    return out;
  }
  for (const Value& jwk : set->items())
    if (auto key = key_of_jwk(jwk)) out.push_back(std::move(*key));  // unknown kinds are left out
  return out;
}

bool is_jws_algorithm(std::string_view name) {
  static constexpr std::string_view kNames[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                                "RS512", "PS256", "PS384", "PS512", "ES256",
                                                "ES384", "ES512", "EdDSA"};
  for (const std::string_view known : kNames)
    if (known == name) return true;
  return false;
}

bool is_hmac(std::string_view name) { return name.starts_with("HS"); }

bool verify_signature(std::string_view algorithm, EVP_PKEY* key, std::string_view message,
                      std::string_view signature) {
  if (key == nullptr || !fits(algorithm, key)) return false;
  std::string der;
  if (algorithm.starts_with("ES")) {
    const auto converted = der_signature(key, signature);
    if (!converted) return false;
    der = *converted;
    signature = der;
  }
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  const bool good =
      EVP_DigestVerifyInit(context.get(), &key_context, digest_of(algorithm), nullptr, key) > 0 &&
      set_padding(algorithm, key_context, true) &&
      EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message),
                       message.size()) == 1;
  ERR_clear_error();
  return good;
}

std::string hmac(std::string_view algorithm, std::string_view secret, std::string_view message) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  const EVP_MD* digest = algorithm == "md5"    ? EVP_md5()
                         : algorithm == "sha1" ? EVP_sha1()
                                               : digest_of(algorithm);
  HMAC(digest, secret.data(), static_cast<int>(secret.size()), bytes(message), message.size(), out,
       &size);
  return std::string(as_text({out, size}));
}

Result<std::string> sign(std::string_view algorithm, const JsonWebKey& key,
                         std::string_view message) {
  if (is_hmac(algorithm)) {
    if (key.key != nullptr || key.secret.empty())
      return fail(Code::kFailedPrecondition, "failed to sign message: key is no symmetric key");
    return hmac(algorithm, key.secret, message);
  }
  if (key.key == nullptr || !fits(algorithm, key.key.get()))
    return fail(Code::kFailedPrecondition,
                "failed to sign message: key does not fit the algorithm");
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  std::size_t size = 0;
  std::string out;
  bool good = EVP_DigestSignInit(context.get(), &key_context, digest_of(algorithm), nullptr,
                                 key.key.get()) > 0 &&
              set_padding(algorithm, key_context, false) &&
              EVP_DigestSign(context.get(), nullptr, &size, bytes(message), message.size()) == 1;
  if (good) {
    Bytes buffer(size);
    good = EVP_DigestSign(context.get(), buffer.data(), &size, bytes(message), message.size()) == 1;
    buffer.resize(size);
    out = as_text(buffer);
  }
  ERR_clear_error();
  if (good && algorithm.starts_with("ES")) {
    const auto raw = raw_signature(key.key.get(), out);
    good = raw.has_value();
    if (raw) out = *raw;
  }
  if (!good) return fail(Code::kFailedPrecondition, "failed to sign message");
  return out;
}

}  // namespace coffer::policy
