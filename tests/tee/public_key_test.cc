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

INSTANTIATE_TEST_SUITE_P(Curves, EcSpki, ::testing::Values(Curve::kP256, Curve::kP384));

}  // namespace
}  // namespace coffer::tee
