#include "attestation/initdata/gzip.h"

#include <gtest/gtest.h>

namespace coffer::initdata {
namespace {

TEST(Gzip, GivesBackWhatWasPacked) {
  for (const std::size_t size : {0U, 1U, 32767U, 32768U, 32769U, 200000U}) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; i += 7) text[i] = static_cast<char>(i);
    const auto out = gunzip(gzip(text), size);
    ASSERT_TRUE(out) << size << ": " << out.error().to_string();
    EXPECT_EQ(*out, text);
  }
}

TEST(Gzip, StopsAtTheLimit) {
  const Bytes bomb = gzip(std::string(std::size_t{8} << 20U, '\0'));
  EXPECT_LT(bomb.size(), 10000U);
  EXPECT_TRUE(gunzip(bomb, std::size_t{8} << 20U));
  const auto out = gunzip(bomb, (std::size_t{8} << 20U) - 1);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kResourceExhausted);
}

TEST(Gzip, RefusesEveryCutAndEveryChangedByte) {
  const std::string text = "version = \"0.1.0\"";
  const Bytes good = gzip(text);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(gunzip(BytesView(good).first(size), 1000)) << size;
  }
  // Bytes 4 to 9 of the header (time, flags, OS) say nothing about the content.
  for (std::size_t i = 10; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1U;
    const auto out = gunzip(bad, 1000);
    EXPECT_TRUE(!out || *out == text) << i;
    if (i >= good.size() - 8) {
      EXPECT_FALSE(out) << i;
    }
  }
}

TEST(Gzip, RefusesWhatFollowsIt) {
  Bytes twice = gzip("a");
  const Bytes second = gzip("b");
  twice.insert(twice.end(), second.begin(), second.end());
  EXPECT_FALSE(gunzip(twice, 1000));
}

}  // namespace
}  // namespace coffer::initdata
