#include "tee/public_key.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <string>

#include "base/openssl.h"
#include "tee/der.h"

namespace coffer::tee {

std::size_t curve_size(Curve curve) { return curve == Curve::kP256 ? 32 : 48; }

namespace {

constexpr int kMaxRsaBits = 8192;
constexpr int kPssSaltBytes = 48;
constexpr std::string_view kOidEcPublicKey = "1.2.840.10045.2.1";
constexpr std::string_view kOidRsa = "1.2.840.113549.1.1.1";

using openssl::BigNum;
using openssl::ClearErrors;
using openssl::EcdsaSig;
using openssl::MdContext;
using openssl::PkeyContext;

std::unexpected<Error> bad_key(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read public key: {}", why));
}

const char* group_name(Curve curve) {
  return curve == Curve::kP256 ? SN_X9_62_prime256v1 : SN_secp384r1;
}

const EVP_MD* message_digest(HashAlgorithm hash) {
  switch (hash) {
    case HashAlgorithm::kSha1:
      return EVP_sha1();
    case HashAlgorithm::kSha256:
      return EVP_sha256();
    case HashAlgorithm::kSha384:
      return EVP_sha384();
    case HashAlgorithm::kSha512:
      return EVP_sha512();
  }
  return nullptr;
}

struct SchemeFacts {
  HashAlgorithm hash = HashAlgorithm::kSha256;
  bool rsa = false;
  bool pss = false;
};

std::optional<SchemeFacts> facts_of(SignatureScheme scheme) {
  switch (scheme) {
    case SignatureScheme::kUnknown:
      return std::nullopt;
    case SignatureScheme::kRsaPssSha384:
      return SchemeFacts{.hash = HashAlgorithm::kSha384, .rsa = true, .pss = true};
    case SignatureScheme::kRsaPkcs1Sha256:
      return SchemeFacts{.hash = HashAlgorithm::kSha256, .rsa = true};
    case SignatureScheme::kRsaPkcs1Sha384:
      return SchemeFacts{.hash = HashAlgorithm::kSha384, .rsa = true};
    case SignatureScheme::kEcdsaSha256:
      return SchemeFacts{.hash = HashAlgorithm::kSha256};
    case SignatureScheme::kEcdsaSha384:
      return SchemeFacts{.hash = HashAlgorithm::kSha384};
  }
  return std::nullopt;
}

bool set_pss(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, kPssSaltBytes) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha384()) == 1;
}

bool digest_verify(EVP_PKEY* key, const SchemeFacts& facts, BytesView message,
                   BytesView signature) {
  const ClearErrors clear;
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (!context || EVP_DigestVerifyInit(context.get(), &parameters, message_digest(facts.hash),
                                       nullptr, key) != 1) {
    return false;
  }
  if (facts.pss && !set_pss(parameters)) return false;
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

std::optional<Curve> curve_of(EVP_PKEY* key) {
  std::array<char, 64> name{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &size) != 1) return std::nullopt;
  const std::string_view text(name.data(), size);
  if (text == SN_X9_62_prime256v1) return Curve::kP256;
  if (text == SN_secp384r1) return Curve::kP384;
  return std::nullopt;
}

constexpr std::string_view kOidP256 = "1.2.840.10045.3.1.7";
constexpr std::string_view kOidP384 = "1.3.132.0.34";

// SubjectPublicKeyInfo (RFC 5280, 4.1.2.7). Read here and not by OpenSSL, whose decoder takes as
// long as two signature checks.
struct Spki {
  std::string algorithm;
  DerReader parameters;
  BytesView key;  // the BIT STRING, of whole octets
};

Result<Spki> read_spki(BytesView spki) {
  DerReader outer(spki, "SubjectPublicKeyInfo");
  COFFER_TRY(DerReader info, outer.enter(DerTag::kSequence));
  COFFER_TRY_VOID(outer.expect_end());
  COFFER_TRY(DerReader algorithm, info.enter(DerTag::kSequence));
  COFFER_TRY(std::string oid, algorithm.oid());
  COFFER_TRY(const BytesView bits, info.expect(DerTag::kBitString));
  COFFER_TRY_VOID(info.expect_end());
  if (bits.empty() || bits[0] != 0) return bad_key("the key is no whole number of octets");
  return Spki{.algorithm = std::move(oid), .parameters = algorithm, .key = bits.subspan(1)};
}

// RFC 5480, section 2. Explicit curve parameters would let an attacker choose the group.
Result<PublicKey> read_ec(Spki spki) {
  COFFER_TRY(const std::string group, spki.parameters.oid());
  COFFER_TRY_VOID(spki.parameters.expect_end());
  if (group != kOidP256 && group != kOidP384) {
    return bad_key("EC key on another curve than P-256 and P-384");
  }
  const Curve curve = group == kOidP256 ? Curve::kP256 : Curve::kP384;
  const std::size_t size = curve_size(curve);
  if (spki.key.size() != 1 + 2 * size || spki.key[0] != POINT_CONVERSION_UNCOMPRESSED) {
    return bad_key("want an uncompressed point of the curve's size");
  }
  return PublicKey::from_ec_point(curve, spki.key.subspan(1, size), spki.key.last(size));
}

// RFC 3279, section 2.3.1: the parameters are NULL. RFC 8017, A.1.1: SEQUENCE {modulus, exponent}.
Result<PublicKey> read_rsa(Spki spki) {
  COFFER_TRY(const BytesView null, spki.parameters.expect(DerTag::kNull));
  COFFER_TRY_VOID(spki.parameters.expect_end());
  if (!null.empty()) return bad_key("parameters of RSA are not NULL");
  DerReader outer(spki.key, "RSAPublicKey");
  COFFER_TRY(DerReader fields, outer.enter(DerTag::kSequence));
  COFFER_TRY_VOID(outer.expect_end());
  COFFER_TRY(BytesView modulus, fields.expect(DerTag::kInteger));
  COFFER_TRY(const std::uint64_t exponent, fields.unsigned_integer());
  COFFER_TRY_VOID(fields.expect_end());
  // Positive, and no octet more than it needs.
  constexpr std::uint8_t kSign = 0x80;
  if (modulus.empty() || (modulus[0] & kSign) != 0) return bad_key("modulus is not positive");
  if (modulus[0] == 0) {
    modulus = modulus.subspan(1);
    if (modulus.empty() || (modulus[0] & kSign) == 0) return bad_key("modulus is not minimal");
  }
  return PublicKey::from_rsa(modulus, exponent);
}

// A key of that curve without a point, from which others are made: looking the curve up by name
// takes longer than the copy. Null when OpenSSL lacks the curve.
std::shared_ptr<EVP_PKEY> make_curve_template(Curve curve) {
  std::string group = group_name(curve);
  std::array<OSSL_PARAM, 2> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
      OSSL_PARAM_construct_end()};
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEY_PARAMETERS, parameters.data()) != 1) {
    return nullptr;
  }
  return {key, EVP_PKEY_free};
}

// Never written to once made.
EVP_PKEY* curve_template(Curve curve) {
  static const std::shared_ptr<EVP_PKEY> p256 = make_curve_template(Curve::kP256);
  static const std::shared_ptr<EVP_PKEY> p384 = make_curve_template(Curve::kP384);
  return (curve == Curve::kP256 ? p256 : p384).get();
}

BigNum coordinate(EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &value) != 1) return nullptr;
  return BigNum(value);
}

}  // namespace

Result<PublicKey> PublicKey::adopt(evp_pkey_st* key) {
  const ClearErrors clear;
  std::shared_ptr<evp_pkey_st> owned(key, EVP_PKEY_free);
  if (key == nullptr) return bad_key("malformed");
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    if (EVP_PKEY_get_bits(key) > kMaxRsaBits) return bad_key("RSA key of more than 8192 bits");
    return PublicKey(std::move(owned), std::nullopt);
  }
  if (EVP_PKEY_is_a(key, "EC") != 1) return bad_key("neither RSA nor EC");
  const auto curve = curve_of(key);
  if (!curve) return bad_key("EC key on another curve than P-256 and P-384");
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  // The curves' cofactor is 1: a point on them that is not infinity is in the group.
  if (!context || EVP_PKEY_public_check_quick(context.get()) != 1) {
    return bad_key("point is not on the curve");
  }
  return PublicKey(std::move(owned), curve);
}

Result<PublicKey> PublicKey::from_spki(BytesView bytes) {
  COFFER_TRY(Spki spki, read_spki(bytes));
  if (spki.algorithm == kOidEcPublicKey) return read_ec(std::move(spki));
  if (spki.algorithm == kOidRsa) return read_rsa(std::move(spki));
  return bad_key("neither RSA nor EC");
}

Result<PublicKey> PublicKey::from_ec_point(Curve curve, BytesView x, BytesView y) {
  const ClearErrors clear;
  const std::size_t size = curve_size(curve);
  if (x.size() != size || y.size() != size) return bad_key("coordinate of a wrong length");
  Bytes point{POINT_CONVERSION_UNCOMPRESSED};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  EVP_PKEY* base = curve_template(curve);
  EVP_PKEY* key = base == nullptr ? nullptr : EVP_PKEY_dup(base);
  if (key == nullptr) return fail(Code::kInternal, "read public key: OpenSSL lacks the curve");
  if (EVP_PKEY_set1_encoded_public_key(key, point.data(), point.size()) != 1) {
    EVP_PKEY_free(key);
    return bad_key("point is not on the curve");
  }
  // Nothing is left for adopt() to check: the curve is ours, OpenSSL has found the point to be on
  // it, and infinity has no uncompressed form.
  return PublicKey(std::shared_ptr<evp_pkey_st>(key, EVP_PKEY_free), curve);
}

Result<PublicKey> PublicKey::from_rsa(BytesView modulus, std::uint64_t exponent) {
  const ClearErrors clear;
  if (modulus.size() > kMaxRsaBits / 8 + 1) return bad_key("RSA key of more than 8192 bits");
  const BigNum n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const openssl::ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!n || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_uint64(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent) != 1) {
    return bad_key("modulus");
  }
  const openssl::Params parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return bad_key("modulus");
  }
  return adopt(key);
}

int PublicKey::bits() const { return EVP_PKEY_get_bits(key_.get()); }

Result<EcPoint> PublicKey::ec_point() const {
  const ClearErrors clear;
  if (!curve_) return fail(Code::kFailedPrecondition, "take point of public key: it is RSA");
  const auto size = static_cast<int>(curve_size(*curve_));
  const BigNum x = coordinate(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X);
  const BigNum y = coordinate(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y);
  EcPoint point{.x = Bytes(curve_size(*curve_)), .y = Bytes(curve_size(*curve_))};
  if (!x || !y || BN_bn2binpad(x.get(), point.x.data(), size) != size ||
      BN_bn2binpad(y.get(), point.y.data(), size) != size) {
    return fail(Code::kInternal, "take point of public key: OpenSSL gave none");
  }
  return point;
}

Bytes PublicKey::spki() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  if (size <= 0) return {};
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

bool PublicKey::verify(SignatureScheme scheme, BytesView message, BytesView signature) const {
  const auto facts = facts_of(scheme);
  if (!facts || facts->rsa != is_rsa()) return false;
  return digest_verify(key_.get(), *facts, message, signature);
}

bool PublicKey::verify_ecdsa(HashAlgorithm hash, BytesView message, BytesView r,
                             BytesView s) const {
  if (!curve_) return false;
  BigNum r_number(BN_bin2bn(r.data(), static_cast<int>(r.size()), nullptr));
  BigNum s_number(BN_bin2bn(s.data(), static_cast<int>(s.size()), nullptr));
  const EcdsaSig signature(ECDSA_SIG_new());
  if (!r_number || !s_number || !signature ||
      ECDSA_SIG_set0(signature.get(), r_number.get(), s_number.get()) != 1) {
    return false;
  }
  (void)r_number.release();
  (void)s_number.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return false;
  const bool good = digest_verify(key_.get(), {.hash = hash}, message,
                                  BytesView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return good;
}

bool PublicKey::operator==(const PublicKey& other) const {
  return EVP_PKEY_eq(key_.get(), other.key_.get()) == 1;
}

}  // namespace coffer::tee
