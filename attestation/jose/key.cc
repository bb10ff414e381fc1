#include "attestation/jose/key.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>
#include <optional>

#include "base/openssl.h"

namespace coffer::jose {
namespace {

using openssl::BigNum;
using openssl::Bio;
using openssl::Certificate;
using openssl::ClearErrors;
using openssl::ParamBuilder;
using openssl::Params;
using openssl::Pkey;
using openssl::PkeyContext;

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;
constexpr std::size_t kMaxRsaBytes = 1024;
constexpr std::size_t kMaxExponentBytes = 8;
constexpr std::size_t kEd25519Bytes = 32;
constexpr std::size_t kMaxPemBytes = std::size_t{64} << 10U;

std::unexpected<Error> bad_key(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read key: {}", why));
}

const char* group_name(KeyType type) {
  switch (type) {
    case KeyType::kEcP256:
      return SN_X9_62_prime256v1;
    case KeyType::kEcP384:
      return SN_secp384r1;
    case KeyType::kEcP521:
      return SN_secp521r1;
    case KeyType::kRsa:
    case KeyType::kEd25519:
      break;
  }
  return "";
}

std::optional<KeyType> ec_type(EVP_PKEY* key) {
  std::array<char, 64> name{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &size) != 1) return std::nullopt;
  const std::string_view text(name.data(), size);
  for (const auto type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kEcP521}) {
    if (text == group_name(type)) return type;
  }
  return std::nullopt;
}

Result<KeyType> type_of(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return KeyType::kEd25519;
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits < kMinRsaBits || bits > kMaxRsaBits) {
      return bad_key(fmt::format("RSA of {} bits, want {} to {}", bits, kMinRsaBits, kMaxRsaBits));
    }
    return KeyType::kRsa;
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    if (const auto type = ec_type(key)) return *type;
    return bad_key("EC on another curve than P-256, P-384 and P-521");
  }
  return bad_key("neither EC, RSA nor Ed25519");
}

Result<Pkey> from_parameters(const char* algorithm, int selection, OSSL_PARAM_BLD* builder) {
  const Params parameters(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) != 1) {
    return bad_key("the numbers make no key");
  }
  return Pkey(key);
}

// A key of that curve without a point, from which others are made: to look the curve up by name
// takes longer than the copy. Null when OpenSSL lacks the curve.
Pkey make_curve_template(KeyType type) {
  const ClearErrors clear;
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                                  group_name(type), 0) != 1) {
    return nullptr;
  }
  auto key = from_parameters("EC", EVP_PKEY_KEY_PARAMETERS, builder.get());
  return key ? *std::move(key) : nullptr;
}

// Never written to once made.
EVP_PKEY* curve_template(KeyType type) {
  static const std::array<Pkey, 3> kCurves{make_curve_template(KeyType::kEcP256),
                                           make_curve_template(KeyType::kEcP384),
                                           make_curve_template(KeyType::kEcP521)};
  switch (type) {
    case KeyType::kEcP256:
      return kCurves[0].get();
    case KeyType::kEcP384:
      return kCurves[1].get();
    case KeyType::kEcP521:
      return kCurves[2].get();
    case KeyType::kRsa:
    case KeyType::kEd25519:
      break;
  }
  return nullptr;
}

Bytes encoded_point(BytesView x, BytesView y) {
  Bytes point{POINT_CONVERSION_UNCOMPRESSED};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  return point;
}

Status check_coordinates(KeyType type, BytesView x, BytesView y) {
  const auto size = coordinate_size(type);
  if (size == 0) return bad_key("not a type of EC key");
  if (x.size() != size || y.size() != size) {
    return bad_key(
        fmt::format("coordinates of {} and {} bytes, want {} each", x.size(), y.size(), size));
  }
  return {};
}

void free_octets(unsigned char* octets) { OPENSSL_free(octets); }

Result<Bytes> number(EVP_PKEY* key, const char* name, std::size_t padded_size) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) {
    return fail(Code::kInternal, "take a number of a key: OpenSSL gave none");
  }
  const BigNum value(raw);
  const auto size =
      padded_size != 0 ? padded_size : static_cast<std::size_t>(BN_num_bytes(value.get()));
  Bytes out(size);
  if (BN_bn2binpad(value.get(), out.data(), static_cast<int>(size)) < 0) {
    return fail(Code::kInternal, "take a number of a key: it is too large");
  }
  return out;
}

// An empty answer instead of a prompt on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return 0; }

Result<Bio> read_bio(std::string_view text) {
  if (text.size() > kMaxPemBytes) return bad_key("a PEM of more than 64 KiB");
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) return fail(Code::kInternal, "read key: OpenSSL gave no buffer");
  return bio;
}

std::string content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

std::string_view key_type_name(KeyType type) {
  switch (type) {
    case KeyType::kEcP256:
      return "EC P-256";
    case KeyType::kEcP384:
      return "EC P-384";
    case KeyType::kEcP521:
      return "EC P-521";
    case KeyType::kRsa:
      return "RSA";
    case KeyType::kEd25519:
      return "Ed25519";
  }
  return "unknown";
}

std::size_t coordinate_size(KeyType type) {
  switch (type) {
    case KeyType::kEcP256:
      return 32;
    case KeyType::kEcP384:
      return 48;
    case KeyType::kEcP521:
      return 66;
    case KeyType::kRsa:
    case KeyType::kEd25519:
      break;
  }
  return 0;
}

bool is_ec(KeyType type) { return coordinate_size(type) != 0; }

Result<PublicKey> PublicKey::adopt(evp_pkey_st* key) {
  const ClearErrors clear;
  std::shared_ptr<evp_pkey_st> owned(key, EVP_PKEY_free);
  if (key == nullptr) return bad_key("malformed");
  COFFER_TRY(const KeyType type, type_of(key));
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  // The curves' cofactor is 1: a point on them that is not infinity is in the group.
  if (is_ec(type) && (!context || EVP_PKEY_public_check_quick(context.get()) != 1)) {
    return bad_key("the point is not on the curve");
  }
  return PublicKey(std::move(owned), type);
}

Result<PublicKey> PublicKey::from_ec(KeyType type, BytesView x, BytesView y) {
  const ClearErrors clear;
  COFFER_TRY_VOID(check_coordinates(type, x, y));
  const Bytes point = encoded_point(x, y);
  EVP_PKEY* base = curve_template(type);
  Pkey key(base == nullptr ? nullptr : EVP_PKEY_dup(base));
  if (!key) return fail(Code::kInternal, "read key: OpenSSL lacks the curve");
  if (EVP_PKEY_set1_encoded_public_key(key.get(), point.data(), point.size()) != 1) {
    return bad_key("the point is not on the curve");
  }
  // Nothing is left for adopt() to check: the curve is ours, OpenSSL has found the point to be on
  // it, and infinity has no uncompressed form.
  return PublicKey(std::shared_ptr<evp_pkey_st>(key.release(), EVP_PKEY_free), type);
}

Result<PublicKey> PublicKey::from_rsa(BytesView n, BytesView e) {
  const ClearErrors clear;
  if (n.empty() || n.size() > kMaxRsaBytes || n.front() == 0) {
    return bad_key("RSA modulus: empty, of more than 8192 bits, or with a leading zero");
  }
  if (e.empty() || e.size() > kMaxExponentBytes || e.front() == 0 || (e.back() & 1U) == 0 ||
      (e.size() == 1 && e.front() < 3)) {
    return bad_key("RSA exponent: want an odd number from 3 to 64 bits");
  }
  const BigNum modulus(BN_bin2bn(n.data(), static_cast<int>(n.size()), nullptr));
  const BigNum exponent(BN_bin2bn(e.data(), static_cast<int>(e.size()), nullptr));
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return fail(Code::kInternal, "read key: out of memory");
  }
  COFFER_TRY(Pkey key, from_parameters("RSA", EVP_PKEY_PUBLIC_KEY, builder.get()));
  return adopt(key.release());
}

Result<PublicKey> PublicKey::from_ed25519(BytesView x) {
  if (x.size() != kEd25519Bytes) return bad_key(fmt::format("Ed25519 of {} bytes", x.size()));
  return adopt(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, x.data(), x.size()));
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  const ClearErrors clear;
  COFFER_TRY(const Bio bio, read_bio(pem));
  if (pem.find("BEGIN CERTIFICATE") == std::string_view::npos) {
    return adopt(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  }
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!certificate) return bad_key("malformed certificate");
  return adopt(X509_get_pubkey(certificate.get()));
}

Result<PublicKey> PublicKey::from_certificate(BytesView der) {
  const ClearErrors clear;
  const unsigned char* at = der.data();
  const Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate || at != der.data() + der.size()) return bad_key("malformed certificate");
  return adopt(X509_get_pubkey(certificate.get()));
}

Result<EcCoordinates> PublicKey::ec() const {
  const ClearErrors clear;
  const auto size = coordinate_size(type_);
  if (size == 0) return fail(Code::kFailedPrecondition, "take point of key: it is not EC");
  unsigned char* raw = nullptr;
  const std::size_t length = EVP_PKEY_get1_encoded_public_key(native(), &raw);
  const openssl::Ptr<unsigned char, free_octets> point(raw);
  if (length != 2 * size + 1 || *raw != POINT_CONVERSION_UNCOMPRESSED) {
    return fail(Code::kInternal, "take point of key: OpenSSL gave none");
  }
  return EcCoordinates{.x = Bytes(raw + 1, raw + 1 + size),
                       .y = Bytes(raw + 1 + size, raw + length)};
}

Result<RsaNumbers> PublicKey::rsa() const {
  const ClearErrors clear;
  if (type_ != KeyType::kRsa) {
    return fail(Code::kFailedPrecondition, "take modulus of key: it is not RSA");
  }
  COFFER_TRY(Bytes n, number(native(), OSSL_PKEY_PARAM_RSA_N, 0));
  COFFER_TRY(Bytes e, number(native(), OSSL_PKEY_PARAM_RSA_E, 0));
  return RsaNumbers{.n = std::move(n), .e = std::move(e)};
}

Result<Bytes> PublicKey::ed25519() const {
  const ClearErrors clear;
  Bytes out(kEd25519Bytes);
  std::size_t size = out.size();
  if (type_ != KeyType::kEd25519 || EVP_PKEY_get_raw_public_key(native(), out.data(), &size) != 1) {
    return fail(Code::kFailedPrecondition, "take Ed25519 key: it is of another type");
  }
  return out;
}

Result<std::string> PublicKey::to_pem() const {
  const ClearErrors clear;
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), native()) != 1) {
    return fail(Code::kInternal, "write public key: OpenSSL failed");
  }
  return content(bio.get());
}

bool PublicKey::operator==(const PublicKey& other) const {
  const ClearErrors clear;
  return type_ == other.type_ && EVP_PKEY_eq(native(), other.native()) == 1;
}

Result<PrivateKey> PrivateKey::adopt(evp_pkey_st* key, std::string_view what) {
  const ClearErrors clear;
  std::shared_ptr<evp_pkey_st> owned(key, EVP_PKEY_free);
  if (key == nullptr) return fail(Code::kInvalidArgument, fmt::format("{}: OpenSSL failed", what));
  // The same object: its public half is all that a PublicKey is used for.
  EVP_PKEY_up_ref(key);
  auto public_key = PublicKey::adopt(key);
  if (!public_key) return fail(std::move(public_key.error()).with_context(std::string(what)));
  return PrivateKey(std::move(owned), *std::move(public_key));
}

Result<PrivateKey> PrivateKey::generate(KeyType type) {
  constexpr std::string_view kWhat = "generate key";
  if (type == KeyType::kRsa) return adopt(EVP_RSA_gen(kMinRsaBits), kWhat);
  if (type == KeyType::kEd25519)
    return adopt(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), kWhat);
  return adopt(EVP_EC_gen(group_name(type)), kWhat);
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const ClearErrors clear;
  COFFER_TRY(const Bio bio, read_bio(pem));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
  if (key == nullptr) return bad_key("no unencrypted private key in PEM form");
  return adopt(key, "read private key");
}

Result<PrivateKey> PrivateKey::from_ec(KeyType type, BytesView d, BytesView x, BytesView y) {
  const ClearErrors clear;
  COFFER_TRY_VOID(check_coordinates(type, x, y));
  if (d.size() != x.size()) return bad_key("private scalar of a wrong length");
  const Bytes point = encoded_point(x, y);
  const BigNum scalar(BN_bin2bn(d.data(), static_cast<int>(d.size()), nullptr));
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!scalar || !builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group_name(type),
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar.get()) != 1) {
    return fail(Code::kInternal, "read key: out of memory");
  }
  COFFER_TRY(Pkey key, from_parameters("EC", EVP_PKEY_KEYPAIR, builder.get()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!context || EVP_PKEY_pairwise_check(context.get()) != 1) {
    return bad_key("the point is not the private scalar's");
  }
  return adopt(key.release(), "read private key");
}

Result<std::string> PrivateKey::to_pem() const {
  const ClearErrors clear;
  // BIO_s_secmem is wiped when freed; the caller wipes the text.
  const Bio bio(BIO_new(BIO_s_secmem()));
  const bool written =
      bio && (type() == KeyType::kRsa
                  ? PEM_write_bio_PrivateKey_traditional(bio.get(), native(), nullptr, nullptr, 0,
                                                         nullptr, nullptr) == 1
                  : PEM_write_bio_PKCS8PrivateKey(bio.get(), native(), nullptr, nullptr, 0, nullptr,
                                                  nullptr) == 1);
  if (!written) return fail(Code::kInternal, "write private key: OpenSSL failed");
  return content(bio.get());
}

}  // namespace coffer::jose
