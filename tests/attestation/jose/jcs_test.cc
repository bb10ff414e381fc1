#include "attestation/jose/jcs.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

struct NumberCase {
  double number;
  const char* text;
};

TEST(CanonicalJson, WritesNumbersAsEcmascriptDoes) {
  // RFC 8785 section 3.2.2.3 and appendix B, and the edges between the four forms.
  const NumberCase cases[] = {
      {0.0, "0"},
      {-0.0, "0"},
      {1.0, "1"},
      {-1.5, "-1.5"},
      {4.50, "4.5"},
      {2e-3, "0.002"},
      {333333333.33333329, "333333333.3333333"},
      {1e30, "1e+30"},
      {1e-27, "1e-27"},
      {1e20, "100000000000000000000"},
      {1e21, "1e+21"},
      {123456789012345680000.0, "123456789012345680000"},
      {1e-6, "0.000001"},
      {1e-7, "1e-7"},
      {1.25e-7, "1.25e-7"},
      {9007199254740992.0, "9007199254740992"},
      {std::numeric_limits<double>::denorm_min(), "5e-324"},
      {std::numeric_limits<double>::max(), "1.7976931348623157e+308"},
  };
  for (const auto& test : cases) EXPECT_EQ(ecmascript_number(test.number), test.text);
}

TEST(CanonicalJson, SortsMembersByUtf16CodeUnits) {
  // RFC 8785 section 3.2.3: the emoji, a surrogate pair, stands before U+FB33.
  const Json value = {{"\u20ac", 1},     {"\r", 2},     {"\ufb33", 3}, {"1", 4},
                      {"\U0001f600", 5}, {"\u0080", 6}, {"\u00f6", 7}};
  const auto text = canonical_json(value);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text,
            "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"\u00f6\":7,\"\u20ac\":1,\"\U0001f600\":5,\"\ufb33\":"
            "3}");
}

TEST(CanonicalJson, EscapesOnlyWhatMustBe) {
  const Json value = Json::array(
      {"\b\t\n\f\r\"\\/\x01\x1f\x7f", true, false, nullptr, Json::object(), Json::array()});
  EXPECT_EQ(canonical_json(value).value(),
            "[\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\x7f\",true,false,null,{},[]]");
}

TEST(CanonicalJson, RoundsIntegersThatNoDoubleHolds) {
  EXPECT_EQ(canonical_json(Json(9007199254740993ULL)).value(), "9007199254740992");
  EXPECT_EQ(canonical_json(Json(-9007199254740992LL)).value(), "-9007199254740992");
  EXPECT_EQ(canonical_json(Json(std::numeric_limits<std::uint64_t>::max())).value(),
            "18446744073709552000");
}

TEST(CanonicalJson, RefusesWhatHasNoForm) {
  EXPECT_FALSE(canonical_json(Json(std::numeric_limits<double>::infinity())));
  EXPECT_FALSE(canonical_json(Json("\xc0\x80")));
  EXPECT_FALSE(canonical_json(Json::binary({1, 2})));
  Json deep = 1;
  for (int i = 0; i < 65; ++i) deep = Json::array({deep});
  const auto refused = canonical_json(deep);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().to_string().find("deeper than 64"), std::string::npos);
  EXPECT_TRUE(canonical_json(deep[0]));
}

}  // namespace
}  // namespace coffer::jose
