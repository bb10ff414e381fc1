#include "tee/tpm/credential.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>

#include "base/byte_reader.h"
#include "base/openssl.h"
#include "base/secret.h"
#include "tee/digest.h"
#include "tee/tpm/key.h"

namespace coffer::tpm {
namespace {

constexpr std::uint16_t kAlgSha256 = 0x000b;
constexpr std::uint16_t kAlgAes = 0x0006;
constexpr std::uint16_t kAlgCfb = 0x0043;
constexpr std::size_t kDigest = 32;
constexpr std::size_t kAesKey = 16;
// The label of the OAEP padding, with its final NUL.
constexpr std::string_view kIdentity{"IDENTITY\0", 9};

using openssl::CipherContext;
using openssl::PkeyContext;

std::unexpected<Error> crypto_failed(std::string_view step) {
  ERR_clear_error();
  return fail(Code::kInternal, fmt::format("make credential: {}", step));
}

void put_u16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U & 0xffU));
  out.push_back(static_cast<std::uint8_t>(value & 0xffU));
}

void put(Bytes& out, BytesView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

Bytes sized(BytesView bytes) {
  Bytes out;
  put_u16(out, bytes.size());
  put(out, bytes);
  return out;
}

// The TPMT_PUBLIC in either form.
BytesView public_area(BytesView bytes) {
  const bool has_size =
      bytes.size() >= 2 &&
      static_cast<std::size_t>(bytes[0]) << 8U == ((bytes.size() - 2) & ~std::size_t{0xff}) &&
      bytes[1] == ((bytes.size() - 2) & 0xffU);
  return has_size ? bytes.subspan(2) : bytes;
}

// Whether keys under it are protected as we do it: SHA-256, AES-128-CFB.
Status check_storage(BytesView area) {
  ByteReader reader(area, "endorsement key");
  COFFER_TRY_VOID(reader.skip(2));
  COFFER_TRY(const std::uint16_t name_alg, reader.u16_be());
  COFFER_TRY_VOID(reader.skip(4));
  COFFER_TRY(const std::uint16_t policy, reader.u16_be());
  COFFER_TRY_VOID(reader.skip(policy));
  COFFER_TRY(const std::uint16_t symmetric, reader.u16_be());
  COFFER_TRY(const std::uint16_t bits, reader.u16_be());
  COFFER_TRY(const std::uint16_t mode, reader.u16_be());
  if (name_alg != kAlgSha256 || symmetric != kAlgAes || bits != 8 * kAesKey || mode != kAlgCfb) {
    return fail(Code::kUnimplemented,
                "make credential: endorsement key: want SHA-256 and AES-128-CFB");
  }
  return {};
}

Result<Bytes> hmac(BytesView key, BytesView message) {
  Bytes out(kDigest);
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
           out.data(), &size) == nullptr ||
      size != kDigest) {
    return crypto_failed("HMAC");
  }
  return out;
}

// KDFa for at most one digest: counter 1, label with its NUL, context, bits.
Result<SecretBytes> kdfa(BytesView key, std::string_view label, BytesView context,
                         std::size_t size) {
  Bytes message = {0, 0, 0, 1};
  put(message, as_bytes(label));
  message.push_back(0);
  put(message, context);
  put_u16(message, 0);
  put_u16(message, size * 8);
  COFFER_TRY(Bytes out, hmac(key, message));
  out.resize(size);
  return SecretBytes(std::move(out));
}

Result<Bytes> encrypt_cfb(BytesView key, BytesView plain) {
  const CipherContext context(EVP_CIPHER_CTX_new());
  const std::array<std::uint8_t, 16> iv{};
  Bytes out(plain.size());
  int size = 0;
  if (!context ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_128_cfb128(), nullptr, key.data(), iv.data()) !=
          1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(),
                        static_cast<int>(plain.size())) != 1 ||
      static_cast<std::size_t>(size) != out.size()) {
    return crypto_failed("AES-128-CFB");
  }
  return out;
}

Result<Bytes> encrypt_oaep(const tee::PublicKey& key, BytesView seed) {
  const PkeyContext context(EVP_PKEY_CTX_new(key.native(), nullptr));
  // OpenSSL takes over the label.
  void* label = OPENSSL_memdup(kIdentity.data(), kIdentity.size());
  if (!context || label == nullptr || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label, static_cast<int>(kIdentity.size())) !=
          1) {
    OPENSSL_free(label);
    return crypto_failed("RSA-OAEP");
  }
  std::size_t size = 0;
  if (EVP_PKEY_encrypt(context.get(), nullptr, &size, seed.data(), seed.size()) != 1) {
    return crypto_failed("RSA-OAEP");
  }
  Bytes out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, seed.data(), seed.size()) != 1) {
    return crypto_failed("RSA-OAEP");
  }
  out.resize(size);
  return out;
}

Result<Bytes> wrap(BytesView seed, BytesView name, BytesView secret) {
  COFFER_TRY(const SecretBytes key, kdfa(seed, "STORAGE", name, kAesKey));
  const SecretBytes plain(sized(secret));
  COFFER_TRY(const Bytes identity, encrypt_cfb(key.view(), plain.view()));
  COFFER_TRY(const SecretBytes hmac_key, kdfa(seed, "INTEGRITY", {}, kDigest));
  Bytes covered = identity;
  put(covered, name);
  COFFER_TRY(const Bytes integrity, hmac(hmac_key.view(), covered));
  Bytes object = sized(integrity);
  put(object, identity);
  return sized(object);
}

}  // namespace

Result<Bytes> object_name(BytesView tpm_public) {
  COFFER_TRY_VOID(parse_tpm_public(tpm_public));
  const BytesView area = public_area(tpm_public);
  ByteReader reader(area, "TPM public area");
  COFFER_TRY_VOID(reader.skip(2));
  COFFER_TRY(const std::uint16_t name_alg, reader.u16_be());
  if (name_alg != kAlgSha256) {
    return fail(Code::kUnimplemented,
                fmt::format("name TPM object: name algorithm {:#x}: want SHA-256", name_alg));
  }
  Bytes name;
  put_u16(name, name_alg);
  put(name, tee::sha256(area));
  return name;
}

Result<Credential> make_credential(BytesView endorsement_key, BytesView attestation_key_name,
                                   BytesView secret) {
  if (secret.empty() || secret.size() > kDigest) {
    return fail(Code::kInvalidArgument,
                fmt::format("make credential: secret: got {} bytes, want 1 to 32", secret.size()));
  }
  COFFER_TRY(const AttestationKey key, parse_tpm_public(endorsement_key));
  if (!key.key.is_rsa()) {
    return fail(Code::kUnimplemented, "make credential: endorsement key: want RSA");
  }
  COFFER_TRY_VOID(check_storage(public_area(endorsement_key)));
  Bytes fresh(kDigest);
  if (RAND_priv_bytes(fresh.data(), static_cast<int>(fresh.size())) != 1) {
    return crypto_failed("random bytes");
  }
  const SecretBytes seed(std::move(fresh));
  COFFER_TRY(const Bytes encrypted, encrypt_oaep(key.key, seed.view()));
  COFFER_TRY(Bytes object, wrap(seed.view(), attestation_key_name, secret));
  return Credential{.id_object = std::move(object), .encrypted_secret = sized(encrypted)};
}

}  // namespace coffer::tpm
