#include "tee/emulator/ec_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/openssl.h"

namespace coffer::emulator {
namespace {

constexpr int kScalar = 32;

using openssl::Bio;
using openssl::EcdsaSig;
using openssl::MdContext;

std::unexpected<Error> bad(std::string_view what) {
  return fail(Code::kInternal, std::string(what) + ": OpenSSL refused");
}

}  // namespace

EcKey::EcKey(evp_pkey_st* key) : key_(key, EVP_PKEY_free) {}

Result<EcKey> EcKey::generate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  if (key == nullptr) return bad("generate a P-256 key");
  return EcKey(key);
}

Result<EcKey> EcKey::from_pem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EVP_PKEY* key = bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr;
  if (key == nullptr) return fail(Code::kInvalidArgument, "read private key: no PKCS#8 PEM");
  EcKey out(key);
  COFFER_TRY(const tee::PublicKey point, out.public_key());
  if (point.curve() != tee::Curve::kP256) {
    return fail(Code::kInvalidArgument, "read private key: not on P-256");
  }
  return out;
}

Result<std::string> EcKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1) {
    return bad("write private key");
  }
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<tee::PublicKey> EcKey::public_key() const {
  EVP_PKEY_up_ref(key_.get());
  return tee::PublicKey::adopt(key_.get());
}

Result<Bytes> EcKey::point() const {
  COFFER_TRY(const tee::PublicKey key, public_key());
  COFFER_TRY(tee::EcPoint point, key.ec_point());
  point.x.insert(point.x.end(), point.y.begin(), point.y.end());
  return std::move(point.x);
}

Result<Bytes> EcKey::sign(BytesView message) const {
  const MdContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return bad("sign");
  }
  Bytes der(size);
  if (EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1) {
    return bad("sign");
  }
  const std::uint8_t* at = der.data();
  const EcdsaSig signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  Bytes raw(std::size_t{2} * kScalar);
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), kScalar) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + kScalar, kScalar) < 0) {
    return bad("sign");
  }
  return raw;
}

}  // namespace coffer::emulator
