#include "tee/private_key.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>

#include "base/openssl.h"

namespace coffer::tee {
namespace {

using openssl::Bio;
using openssl::EcdsaSig;
using openssl::MdContext;
constexpr unsigned kMinRsaBits = 2048;
constexpr unsigned kMaxRsaBits = 8192;
constexpr int kPssSaltBytes = 48;

std::unexpected<Error> failed(std::string_view what) {
  ERR_clear_error();
  return fail(Code::kInternal, fmt::format("{}: OpenSSL failed", what));
}

const EVP_MD* digest_of(SignatureScheme scheme) {
  switch (scheme) {
    case SignatureScheme::kRsaPkcs1Sha256:
    case SignatureScheme::kEcdsaSha256:
      return EVP_sha256();
    case SignatureScheme::kRsaPssSha384:
    case SignatureScheme::kRsaPkcs1Sha384:
    case SignatureScheme::kEcdsaSha384:
      return EVP_sha384();
    case SignatureScheme::kUnknown:
      break;
  }
  return nullptr;
}

bool is_rsa(SignatureScheme scheme) {
  return scheme == SignatureScheme::kRsaPssSha384 || scheme == SignatureScheme::kRsaPkcs1Sha256 ||
         scheme == SignatureScheme::kRsaPkcs1Sha384;
}

// An empty answer instead of a prompt on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return 0; }

Result<Bytes> digest_sign(EVP_PKEY* key, const EVP_MD* digest, bool pss, BytesView message) {
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (!context || EVP_DigestSignInit(context.get(), &parameters, digest, nullptr, key) != 1) {
    return failed("sign");
  }
  if (pss && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
              EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, kPssSaltBytes) != 1 ||
              EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, digest) != 1)) {
    return failed("sign");
  }
  std::size_t size = 0;
  if (EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return failed("sign");
  }
  Bytes out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1) {
    return failed("sign");
  }
  out.resize(size);
  return out;
}

}  // namespace

Result<PrivateKey> PrivateKey::adopt(evp_pkey_st* key, std::string_view what) {
  std::shared_ptr<evp_pkey_st> owned(key, EVP_PKEY_free);
  if (key == nullptr) return failed(what);
  unsigned char* spki = nullptr;
  const int size = i2d_PUBKEY(key, &spki);
  if (size <= 0) return failed(what);
  auto public_key = PublicKey::from_spki(BytesView(spki, static_cast<std::size_t>(size)));
  OPENSSL_free(spki);
  if (!public_key) return fail(std::move(public_key.error()).with_context(std::string(what)));
  return PrivateKey(std::move(owned), *std::move(public_key));
}

Result<PrivateKey> PrivateKey::generate_ec(Curve curve) {
  return adopt(EVP_EC_gen(curve == Curve::kP256 ? "P-256" : "P-384"), "generate EC key");
}

Result<PrivateKey> PrivateKey::generate_rsa(unsigned bits) {
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return fail(Code::kInvalidArgument, fmt::format("generate RSA key: {} bits", bits));
  }
  return adopt(EVP_RSA_gen(bits), "generate RSA key");
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return failed("read private key");
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
  ERR_clear_error();
  if (key == nullptr) {
    return fail(Code::kInvalidArgument, "read private key: no unencrypted PEM key");
  }
  return adopt(key, "read private key");
}

Result<std::string> PrivateKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio ||
      PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failed("write private key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<Bytes> PrivateKey::sign(SignatureScheme scheme, BytesView message) const {
  const EVP_MD* digest = digest_of(scheme);
  if (digest == nullptr || is_rsa(scheme) != public_key_.is_rsa()) {
    return fail(Code::kFailedPrecondition, "sign: the scheme is for another kind of key");
  }
  return digest_sign(key_.get(), digest, scheme == SignatureScheme::kRsaPssSha384, message);
}

Result<EcdsaSignature> PrivateKey::sign_ecdsa(HashAlgorithm hash, BytesView message) const {
  const auto curve = public_key_.curve();
  if (!curve || (hash != HashAlgorithm::kSha256 && hash != HashAlgorithm::kSha384)) {
    return fail(Code::kFailedPrecondition, "sign: not an EC key, or another hash");
  }
  COFFER_TRY(const Bytes der, sign(hash == HashAlgorithm::kSha256 ? SignatureScheme::kEcdsaSha256
                                                                  : SignatureScheme::kEcdsaSha384,
                                   message));
  const unsigned char* at = der.data();
  const EcdsaSig parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  const auto size = curve_size(*curve);
  EcdsaSignature out{.r = Bytes(size), .s = Bytes(size)};
  if (!parsed ||
      BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out.r.data(), static_cast<int>(size)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out.s.data(), static_cast<int>(size)) < 0) {
    return failed("sign");
  }
  return out;
}

}  // namespace coffer::tee
