#include "attestation/initdata/disk.h"

#include <gtest/gtest.h>

namespace coffer::initdata {
namespace {

Bytes payload(std::size_t size) { return Bytes(size, 7); }

TEST(Disk, IsMagicLengthContentAndPadding) {
  const Bytes disk = make_disk(payload(3));
  ASSERT_EQ(disk.size(), 512U);
  EXPECT_EQ(as_text(BytesView(disk).first(8)), "initdata");
  EXPECT_EQ(to_hex(BytesView(disk).subspan(8, 12)), "030000000000000007070700");
}

TEST(Disk, GivesItsContentBack) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{495}, std::size_t{496}, std::size_t{497}, kMaxPacked}) {
    const Bytes disk = make_disk(payload(size));
    EXPECT_EQ(disk.size() % kDiskSector, 0U);
    const auto read = read_disk(disk);
    ASSERT_TRUE(read) << size << ": " << read.error().to_string();
    EXPECT_EQ(Bytes(read->begin(), read->end()), payload(size));
  }
}

TEST(Disk, OfAnotherMagicIsNotOne) {
  Bytes disk = make_disk(payload(3));
  disk[0] = 'I';
  EXPECT_EQ(read_disk(disk).error().code(), Code::kNotFound);
  EXPECT_EQ(read_disk({}).error().code(), Code::kNotFound);
}

TEST(Disk, WithALyingLengthIsRefused) {
  for (const std::size_t size : {std::size_t{0}, kMaxPacked + 1}) {
    const Bytes disk = make_disk(payload(size));
    EXPECT_EQ(read_disk_header(disk).error().code(), Code::kInvalidArgument) << size;
  }
  Bytes disk = make_disk(payload(3));
  disk[9] = 2;  // 515
  EXPECT_EQ(read_disk(disk).error().code(), Code::kInvalidArgument);
  disk = make_disk(payload(3));
  disk.back() = 1;
  EXPECT_EQ(read_disk(disk).error().code(), Code::kInvalidArgument);
  disk = make_disk(payload(3));
  disk.resize(1024);
  EXPECT_EQ(read_disk(disk).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace coffer::initdata
