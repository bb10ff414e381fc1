#include "attestation/jose/key_wrap.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <limits>
#include <utility>

#include "base/openssl.h"

namespace coffer::jose {
namespace {

using openssl::CipherContext;
using openssl::ClearErrors;
using openssl::PkeyContext;

constexpr std::size_t kSha256Bytes = 32;
constexpr std::size_t kWrapOverhead = 8;
constexpr std::size_t kMaxMessage = std::size_t{64} << 20U;

std::unexpected<Error> failed(std::string_view what) {
  return fail(Code::kInternal, fmt::format("{}: OpenSSL failed", what));
}

std::unexpected<Error> not_ours(std::string_view what) {
  return fail(Code::kUnauthenticated,
              fmt::format("{}: it was not made for this key, or was changed on the way", what));
}

void append_be32(Bytes& out, std::size_t value) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

void append_sized(Bytes& out, BytesView bytes) {
  append_be32(out, bytes.size());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

int as_int(std::size_t size) { return static_cast<int>(size); }

bool set_oaep(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1;
}

}  // namespace

Result<SecretBytes> ecdh(const PrivateKey& ours, const PublicKey& theirs) {
  const ClearErrors clear;
  if (!is_ec(ours.type()) || ours.type() != theirs.type()) {
    return fail(Code::kInvalidArgument,
                fmt::format("agree on key: ours is {}, theirs {}", key_type_name(ours.type()),
                            key_type_name(theirs.type())));
  }
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ours.native(), nullptr));
  Bytes shared(coordinate_size(ours.type()));
  std::size_t size = shared.size();
  const bool derived = context && EVP_PKEY_derive_init(context.get()) == 1 &&
                       // Not validated again: a PublicKey is on its curve, whose cofactor is one.
                       EVP_PKEY_derive_set_peer_ex(context.get(), theirs.native(), 0) == 1 &&
                       EVP_PKEY_derive(context.get(), shared.data(), &size) == 1 &&
                       size == shared.size();
  SecretBytes out(std::move(shared));
  if (!derived) return failed("agree on key");
  return out;
}

Result<SecretBytes> concat_kdf(BytesView shared, std::string_view algorithm, BytesView party_u,
                               BytesView party_v, std::size_t key_bytes) {
  const ClearErrors clear;
  check(key_bytes <= kSha256Bytes, "one round of the KDF");
  Bytes input;
  input.reserve(shared.size() + algorithm.size() + party_u.size() + party_v.size() + 20);
  append_be32(input, 1);
  input.insert(input.end(), shared.begin(), shared.end());
  append_sized(input, as_bytes(algorithm));
  append_sized(input, party_u);
  append_sized(input, party_v);
  append_be32(input, key_bytes * 8);
  const SecretBytes hashed(std::move(input));
  Bytes key(kSha256Bytes);
  const bool done = EVP_Digest(hashed.view().data(), hashed.size(), key.data(), nullptr,
                               EVP_sha256(), nullptr) == 1;
  key.resize(key_bytes);
  SecretBytes out(std::move(key));
  if (!done) return failed("derive key");
  return out;
}

Result<Bytes> aes_key_wrap(BytesView key, BytesView secret) {
  const ClearErrors clear;
  const CipherContext context(EVP_CIPHER_CTX_new());
  if (!context || key.size() != kAes256Bytes) return failed("wrap key");
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(secret.size() + kWrapOverhead + EVP_MAX_BLOCK_LENGTH);
  int size = 0;
  int last = 0;
  if (EVP_EncryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, key.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, secret.data(), as_int(secret.size())) !=
          1 ||
      EVP_EncryptFinal_ex(context.get(), out.data() + size, &last) != 1) {
    return failed("wrap key");
  }
  out.resize(static_cast<std::size_t>(size + last));
  return out;
}

Result<SecretBytes> aes_key_unwrap(BytesView key, BytesView wrapped) {
  const ClearErrors clear;
  const CipherContext context(EVP_CIPHER_CTX_new());
  if (!context || key.size() != kAes256Bytes) return failed("unwrap key");
  if (wrapped.size() != kAes256Bytes + kWrapOverhead) {
    return fail(Code::kInvalidArgument, fmt::format("unwrap key: {} bytes, want {}", wrapped.size(),
                                                    kAes256Bytes + kWrapOverhead));
  }
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(wrapped.size() + EVP_MAX_BLOCK_LENGTH);
  int size = 0;
  const bool good =
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, key.data(), nullptr) == 1 &&
      EVP_DecryptUpdate(context.get(), out.data(), &size, wrapped.data(), as_int(wrapped.size())) ==
          1 &&
      as_int(kAes256Bytes) == size;
  out.resize(kAes256Bytes);
  SecretBytes secret(std::move(out));
  if (!good) return not_ours("unwrap key");
  return secret;
}

Result<Bytes> rsa_oaep_encrypt(const PublicKey& key, BytesView secret) {
  const ClearErrors clear;
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  std::size_t size = 0;
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 || !set_oaep(context.get()) ||
      EVP_PKEY_encrypt(context.get(), nullptr, &size, secret.data(), secret.size()) != 1) {
    return failed("encrypt key with RSA");
  }
  Bytes out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, secret.data(), secret.size()) != 1) {
    return failed("encrypt key with RSA");
  }
  out.resize(size);
  return out;
}

Result<SecretBytes> rsa_oaep_decrypt(const PrivateKey& key, BytesView encrypted) {
  const ClearErrors clear;
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 || !set_oaep(context.get())) {
    return failed("decrypt key with RSA");
  }
  Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key.native())));
  std::size_t size = out.size();
  const bool good =
      EVP_PKEY_decrypt(context.get(), out.data(), &size, encrypted.data(), encrypted.size()) == 1 &&
      size == kAes256Bytes;
  // The rest of the buffer is padding that OpenSSL has cleared.
  out.resize(kAes256Bytes);
  SecretBytes secret(std::move(out));
  if (!good) return not_ours("decrypt key with RSA");
  return secret;
}

Result<Sealed> gcm_encrypt(BytesView key, BytesView iv, BytesView aad, BytesView plaintext) {
  const ClearErrors clear;
  if (key.size() != kAes256Bytes || iv.size() != kGcmIvBytes || plaintext.size() > kMaxMessage) {
    return fail(Code::kInvalidArgument, "encrypt: a size is out of range");
  }
  const CipherContext context(EVP_CIPHER_CTX_new());
  Sealed out{.ciphertext = Bytes(plaintext.size()), .tag = Bytes(kGcmTagBytes)};
  int size = 0;
  int last = 0;
  Bytes none(EVP_MAX_BLOCK_LENGTH);
  if (!context ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), iv.data()) != 1 ||
      EVP_EncryptUpdate(context.get(), nullptr, &size, aad.data(), as_int(aad.size())) != 1 ||
      EVP_EncryptUpdate(context.get(), out.ciphertext.data(), &size, plaintext.data(),
                        as_int(plaintext.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), none.data(), &last) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, as_int(kGcmTagBytes),
                          out.tag.data()) != 1) {
    return failed("encrypt");
  }
  return out;
}

Result<SecretBytes> gcm_decrypt(BytesView key, BytesView iv, BytesView aad, BytesView ciphertext,
                                BytesView tag) {
  const ClearErrors clear;
  if (key.size() != kAes256Bytes || iv.size() != kGcmIvBytes || tag.size() != kGcmTagBytes ||
      ciphertext.size() > kMaxMessage) {
    return fail(Code::kInvalidArgument,
                fmt::format("decrypt: key, IV and tag of {}, {} and {} bytes, want 32, 12 and 16",
                            key.size(), iv.size(), tag.size()));
  }
  const CipherContext context(EVP_CIPHER_CTX_new());
  Bytes plain(ciphertext.size());
  Bytes expected(tag.begin(), tag.end());
  Bytes none(EVP_MAX_BLOCK_LENGTH);
  int size = 0;
  const bool good =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), iv.data()) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &size, aad.data(), as_int(aad.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), plain.data(), &size, ciphertext.data(),
                        as_int(ciphertext.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, as_int(kGcmTagBytes),
                          expected.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), none.data(), &size) == 1;
  SecretBytes out(std::move(plain));
  if (!good) return not_ours("decrypt");
  return out;
}

Result<Bytes> random_bytes(std::size_t size) {
  Bytes out(size);
  if (RAND_bytes(out.data(), as_int(size)) != 1) return failed("draw random bytes");
  return out;
}

}  // namespace coffer::jose
