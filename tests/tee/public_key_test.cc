#include "tee/public_key.h"

#include <gtest/gtest.h>

#include "tee/private_key.h"

namespace coffer::tee {
namespace {

class EcSpki : public ::testing::TestWithParam<Curve> {
 protected:
  EcSpki() : key_(PrivateKey::generate_ec(GetParam()).value()), spki_(key_.public_key().spki()) {}
  // Of the 04 that begins the point.
  [[nodiscard]] std::size_t point() const { return spki_.size() - 1 - 2 * curve_size(GetParam()); }

  PrivateKey key_;
  Bytes spki_;
};

TEST_P(EcSpki, GivesTheKeyThatVerifies) {
  const auto key = PublicKey::from_spki(spki_);
  ASSERT_TRUE(key) << key.error().to_string();
  EXPECT_EQ(*key, key_.public_key());
  EXPECT_EQ(key->curve(), GetParam());
  EXPECT_EQ(key->spki(), spki_);
  const Bytes message = {1, 2, 3};
  const auto signature = key_.sign(SignatureScheme::kEcdsaSha384, message).value();
  EXPECT_TRUE(key->verify(SignatureScheme::kEcdsaSha384, message, signature));
  EXPECT_FALSE(key->verify(SignatureScheme::kEcdsaSha384, Bytes{1, 2}, signature));
}

TEST_P(EcSpki, RefusesAPointThatIsNotOnTheCurve) {
  spki_.back() ^= 1;
  EXPECT_FALSE(PublicKey::from_spki(spki_));
  EXPECT_FALSE(PublicKey::from_ec_point(GetParam(), Bytes(curve_size(GetParam())),
                                        Bytes(curve_size(GetParam()))));
}

TEST_P(EcSpki, RefusesOtherFormsOfThePoint) {
  for (const unsigned form : {0x00U, 0x02U, 0x03U, 0x05U, 0x06U, 0x07U}) {
    Bytes other = spki_;
    other[point()] = static_cast<std::uint8_t>(form);
    EXPECT_FALSE(PublicKey::from_spki(other)) << form;
  }
  spki_[point() - 1] = 1;  // unused bits
  EXPECT_FALSE(PublicKey::from_spki(spki_));
}

TEST_P(EcSpki, RefusesTruncationTrailingBytesAndAnotherCurve) {
  for (std::size_t size = 0; size < spki_.size(); ++size) {
    EXPECT_FALSE(PublicKey::from_spki(BytesView(spki_).first(size))) << size;
  }
  Bytes longer = spki_;
  longer.push_back(0);
  EXPECT_FALSE(PublicKey::from_spki(longer));
  spki_[point() - 4] ^= 1;  // the last arc of the curve's identifier
  EXPECT_FALSE(PublicKey::from_spki(spki_));
}

class RsaSpki : public ::testing::Test {
 protected:
  // SEQUENCE {SEQUENCE {rsaEncryption, parameters}, BIT STRING {SEQUENCE {modulus, 65537}}}
  [[nodiscard]] static Bytes spki(const Bytes& parameters, const Bytes& modulus,
                                  const Bytes& exponent = {1, 0, 1}) {
    const Bytes oid = tlv(0x06, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01});
    const Bytes numbers = tlv(0x30, join(tlv(0x02, modulus), tlv(0x02, exponent)));
    return tlv(0x30, join(tlv(0x30, join(oid, parameters)), tlv(0x03, join({0}, numbers))));
  }
  [[nodiscard]] static Bytes tlv(std::uint8_t tag, const Bytes& content) {
    const std::size_t size = content.size();
    Bytes out;
    out.reserve(size + 4);
    out.push_back(tag);
    if (size >= 0x80) out.push_back(size < 0x100 ? 0x81 : 0x82);
    if (size >= 0x100) out.push_back(static_cast<std::uint8_t>(size >> 8U));
    out.push_back(static_cast<std::uint8_t>(size));
    for (const std::uint8_t byte : content) out.push_back(byte);
    return out;
  }
  [[nodiscard]] static Bytes join(const Bytes& a, const Bytes& b) {
    Bytes out;
    out.reserve(a.size() + b.size());
    for (const std::uint8_t byte : a) out.push_back(byte);
    for (const std::uint8_t byte : b) out.push_back(byte);
    return out;
  }
  // An odd number of that many octets whose first bit is set, as an INTEGER's content.
  [[nodiscard]] static Bytes modulus(std::size_t octets) {
    Bytes out(octets + 1, 0xc5);
    out[0] = 0;
    return out;
  }
  static inline const Bytes kNull = {0x05, 0x00};
};

TEST_F(RsaSpki, GivesTheKeyThatVerifies) {
  const auto made = PrivateKey::generate_rsa(2048).value();
  const Bytes der = made.public_key().spki();
  const auto key = PublicKey::from_spki(der);
  ASSERT_TRUE(key) << key.error().to_string();
  EXPECT_TRUE(key->is_rsa());
  EXPECT_EQ(key->bits(), 2048);
  EXPECT_EQ(*key, made.public_key());
  EXPECT_EQ(key->spki(), der);
  const Bytes message = {1, 2, 3};
  const auto signature = made.sign(SignatureScheme::kRsaPssSha384, message).value();
  EXPECT_TRUE(key->verify(SignatureScheme::kRsaPssSha384, message, signature));
  EXPECT_FALSE(key->verify(SignatureScheme::kRsaPssSha384, Bytes{1, 2}, signature));
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_FALSE(PublicKey::from_spki(BytesView(der).first(size))) << size;
  }
}

TEST_F(RsaSpki, RefusesWhatIsNotExactlyRsaEncryption) {
  EXPECT_TRUE(PublicKey::from_spki(spki(kNull, modulus(256))));
  EXPECT_FALSE(PublicKey::from_spki(spki({}, modulus(256)))) << "no parameters";
  EXPECT_FALSE(PublicKey::from_spki(spki({0x05, 0x01, 0x00}, modulus(256)))) << "a NULL of one";
  EXPECT_FALSE(PublicKey::from_spki(spki({0x05, 0x00, 0x05, 0x00}, modulus(256)))) << "two";
  EXPECT_FALSE(PublicKey::from_spki(spki({0x30, 0x00}, modulus(256)))) << "PSS's";
}

TEST_F(RsaSpki, RefusesNumbersThatAreNegativeOrNotMinimal) {
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, Bytes(256, 0xc5))));
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, join({0}, modulus(256)))));
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, {})));
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, {0})));
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, modulus(256), {0x81})));
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, modulus(256), Bytes(9, 0x11))));
}

TEST_F(RsaSpki, TakesKeysOfUpTo8192Bits) {
  EXPECT_EQ(PublicKey::from_spki(spki(kNull, modulus(1024))).value().bits(), 8192);
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, modulus(1025))));
  EXPECT_FALSE(PublicKey::from_spki(spki(kNull, modulus(4096))));
}

INSTANTIATE_TEST_SUITE_P(Curves, EcSpki, ::testing::Values(Curve::kP256, Curve::kP384));

}  // namespace
}  // namespace coffer::tee
