#include "tee/der.h"

#include <gtest/gtest.h>

namespace coffer::tee {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }

TEST(Der, ReadsNestedValues) {
  const Bytes bytes = hex("30080201010603550403");
  DerReader outer(bytes, "test");
  auto inner = outer.enter(DerTag::kSequence);
  ASSERT_TRUE(inner);
  EXPECT_EQ(*inner->unsigned_integer(), 1U);
  EXPECT_EQ(*inner->oid(), "2.5.4.3");
  EXPECT_TRUE(inner->expect_end());
  EXPECT_TRUE(outer.expect_end());
}

TEST(Der, RefusesLengthsThatLie) {
  for (const auto* text : {"30", "3005020101", "3080020101", "308103020101", "30820003020101",
                           "30850000000001", "3084ffffffff", "1f0100", "30840000"}) {
    const Bytes bytes = hex(text);
    DerReader reader(bytes, "test");
    EXPECT_FALSE(reader.next()) << text;
  }
}

TEST(Der, AcceptsLongFormOnlyWhereItIsNeeded) {
  Bytes bytes = hex("048180");
  bytes.resize(3 + 128);
  DerReader reader(bytes, "test");
  EXPECT_EQ(reader.expect(DerTag::kOctetString)->size(), 128U);
}

TEST(Der, ReadsOnlyMinimalUnsignedIntegers) {
  const auto read = [](std::string_view text) {
    const Bytes bytes = hex(text);
    return DerReader(bytes, "test").unsigned_integer();
  };
  EXPECT_EQ(*read("020200db"), 0xDBU);
  EXPECT_EQ(*read("020100"), 0U);
  EXPECT_EQ(*read("020900ffffffffffffffff"), 0xFFFFFFFFFFFFFFFFU);
  EXPECT_FALSE(read("0201db"));    // negative
  EXPECT_FALSE(read("0202007f"));  // padded
  EXPECT_FALSE(read("0200"));
  EXPECT_FALSE(read("0209010000000000000000"));
}

TEST(Der, ReadsAndRefusesObjectIdentifiers) {
  EXPECT_EQ(*oid_text(hex("2b060104019c780301")), "1.3.6.1.4.1.3704.3.1");
  EXPECT_EQ(*oid_text(hex("883703")), "2.999.3");
  EXPECT_FALSE(oid_text({}));
  EXPECT_FALSE(oid_text(hex("2b80")));
  EXPECT_FALSE(oid_text(hex("2b8001")));
  EXPECT_FALSE(oid_text(Bytes(40, 1)));
}

}  // namespace
}  // namespace coffer::tee
