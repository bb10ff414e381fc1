#include <gtest/gtest.h>

#include "attestation/cbor/value.h"

namespace coffer::cbor {
namespace {

Result<Value> read(std::string_view hex, const Limits& limits = {}) {
  return parse(*from_hex(hex), "test", limits);
}

// RFC 8949 appendix A.
TEST(Cbor, ReadsTheExamplesOfTheRfc) {
  using Number = std::pair<Kind, std::uint64_t>;
  const auto number = [](std::string_view hex) {
    const auto value = read(hex);
    EXPECT_TRUE(value) << hex;
    return value ? Number(value->kind, value->number) : Number(Kind::kNull, 77);
  };
  EXPECT_EQ(number("00"), Number(Kind::kUnsigned, 0ULL));
  EXPECT_EQ(number("17"), Number(Kind::kUnsigned, 23ULL));
  EXPECT_EQ(number("1818"), Number(Kind::kUnsigned, 24ULL));
  EXPECT_EQ(number("1903e8"), Number(Kind::kUnsigned, 1000ULL));
  EXPECT_EQ(number("1a000f4240"), Number(Kind::kUnsigned, 1000000ULL));
  EXPECT_EQ(number("1bffffffffffffffff"), Number(Kind::kUnsigned, 18446744073709551615ULL));
  EXPECT_EQ(number("20"), Number(Kind::kNegative, 0ULL));
  EXPECT_EQ(number("3903e7"), Number(Kind::kNegative, 999ULL));
  EXPECT_EQ(number("f4"), Number(Kind::kBool, 0ULL));
  EXPECT_EQ(number("f5"), Number(Kind::kBool, 1ULL));
  EXPECT_EQ(number("f6"), Number(Kind::kNull, 0ULL));
  EXPECT_EQ(to_hex(read("4401020304")->bytes), "01020304");
  EXPECT_EQ(read("62c3bc")->text(), "\u00fc");
  for (unsigned tag = 0; tag < 24; ++tag)
    EXPECT_TRUE(read(to_hex(Bytes{static_cast<std::uint8_t>(0xc0 + tag), 0}))->is_tag(tag));
  EXPECT_TRUE(read("d81800")->is_tag(24));
  EXPECT_TRUE(read("d901f500")->is_tag(501));
  const auto tagged = read("c11a514b67b0");
  EXPECT_TRUE(tagged->is_tag(1));
  EXPECT_EQ(tagged->items.front().number, 1363896240U);
  const auto nested = read("8301820203820405");
  ASSERT_EQ(nested->items.size(), 3U);
  EXPECT_EQ(nested->items[1].items[1].number, 3U);
  const auto map = read("a201020304");
  EXPECT_EQ(map->find(1)->number, 2U);
  EXPECT_EQ(map->find(3)->number, 4U);
  EXPECT_EQ(map->find(2), nullptr);
  EXPECT_EQ(read("a26161016162820203")->items.size(), 4U);
}

TEST(Cbor, RefusesWhatIsMalformedOrNotUsedHere) {
  struct Case {
    std::string_view hex, why;
  };
  const Case cases[] = {
      {"", "ends in the middle"},
      {"18", "ends in the middle"},
      {"4401", "ends in the middle"},
      {"8301", "ends in the middle"},
      {"9bffffffffffffffff", "ends in the middle"},  // an array of 2^64 - 1
      {"bbffffffffffffffff", "ends in the middle"},
      {"bb8000000000000001", "ends in the middle"},  // twice that is two
      {"5bffffffffffffffff", "ends in the middle"},
      {"0000", "bytes follow"},
      {"1c", "no CBOR"},
      {"5f42010243030405ff", "indefinite"},
      {"9fff", "indefinite"},
      {"bfff", "indefinite"},
      {"f90000", "floating-point"},
      {"fb3ff199999999999a", "floating-point"},
      {"f7", "simple value"},
      {"62c328", "UTF-8"},
      {"a101", "ends in the middle"},
      {"a2010201 03", "a key stands twice"},
      {"a2616101616102", "a key stands twice"},
      {"a1800100", "neither an integer nor a text"},
      {"c1", "ends in the middle"},
  };
  for (const auto& [text, why] : cases) {
    std::string hex(text);
    std::erase(hex, ' ');
    const auto got = read(hex);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code(), Code::kInvalidArgument);
    EXPECT_NE(got.error().message().find(why), std::string::npos)
        << text << ": " << got.error().message();
  }
  EXPECT_TRUE(read("a3000020006000")) << "0, -1 and \"\" are three keys";
}

TEST(Cbor, HoldsItsLimits) {
  const Limits limits{.max_bytes = 8, .max_depth = 4, .max_items = 5};
  EXPECT_TRUE(read("81818100", limits));
  EXPECT_EQ(read("8181818100", limits).error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(read("8400010203", limits));
  EXPECT_EQ(read("850001020304", limits).error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(read("4701020304050607", limits));
  EXPECT_EQ(read("480102030405060708", limits).error().code(), Code::kResourceExhausted);
  EXPECT_FALSE(parse(Bytes(100000, 0x81), "test")) << "depth of the default";
}

TEST(Cbor, WritesTheShortestForm) {
  Writer out;
  out.array(9).number(23).number(24).number(-1).number(-500).number(1000000);
  out.text("a").bytes(Bytes{1, 2}).tag(18).map(1).number(1).text("").tag(501).number(0);
  EXPECT_EQ(to_hex(out.out()),
            "8917181820"
            "3901f31a000f4240"
            "6161420102d2a10160d901f500");
  EXPECT_TRUE(parse(out.out(), "what was written"));
}

}  // namespace
}  // namespace coffer::cbor
