#include "base/byte_reader.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(ByteReader, ReadsBothByteOrders) {
  const Bytes bytes = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(ByteReader(bytes, "x").u16_le(), 0x0201);
  EXPECT_EQ(ByteReader(bytes, "x").u16_be(), 0x0102);
  EXPECT_EQ(ByteReader(bytes, "x").u32_le(), 0x04030201U);
  EXPECT_EQ(ByteReader(bytes, "x").u64_be(), 0x0102030405060708U);
}

TEST(ByteReader, NamesWhatIsMissingAndStaysWhereItWas) {
  const Bytes bytes = {1, 2, 3};
  ByteReader reader(bytes, "frame");
  ASSERT_TRUE(reader.u8());
  const auto result = reader.u32_le();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(), "read frame: need 4 bytes at offset 1, have 2");
  EXPECT_EQ(reader.offset(), 1U);
  EXPECT_EQ(reader.u16_le(), 0x0302);
  EXPECT_TRUE(reader.expect_end());
}

TEST(ByteReader, RefusesLeftOverBytesAndSeeksPastTheEnd) {
  const Bytes bytes = {1, 2};
  ByteReader reader(bytes, "x");
  EXPECT_FALSE(reader.expect_end());
  EXPECT_TRUE(reader.seek(2));
  EXPECT_FALSE(reader.seek(3));
  EXPECT_FALSE(reader.take(SIZE_MAX));
}

}  // namespace
}  // namespace coffer
