#include "base/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace coffer {
namespace {

TEST(Json, ParsesAndNamesTheDocumentInErrors) {
  EXPECT_EQ(parse_json(R"({"a":[1,2]})", "x")->at("a").size(), 2U);
  EXPECT_NE(parse_json("{", "settings").error().message().find("parse settings"),
            std::string::npos);
  EXPECT_FALSE(parse_json("{} x", "x"));
  EXPECT_FALSE(parse_json("\"\xff\"", "x"));
}

TEST(Json, BuildsWhatNlohmannBuilds) {
  for (const char* text :
       {"null", "true", "-1", "18446744073709551615", "1.5e3", R"("a\u00e9\n")", "[]", "{}",
        R"({"a":[1,-2,{"b":[[],{}]},"c"],"d":{"e":null,"f":false},"g":[0.1,[2]],"":""})"}) {
    const auto mine = parse_json(text, "x");
    ASSERT_TRUE(mine) << text << ": " << mine.error().to_string();
    const auto theirs = nlohmann::json::parse(text);
    EXPECT_EQ(*mine, theirs) << text;
    EXPECT_EQ(mine->dump(), theirs.dump());
    EXPECT_EQ(mine->type(), theirs.type());
  }
  EXPECT_TRUE(parse_json("-1", "x")->is_number_integer());
  EXPECT_TRUE(parse_json("1", "x")->is_number_unsigned());
  for (const char* text :
       {"", "1e999", "[1,]", "{\"a\"}", "{\"a\":}", "[", "nul", "01", "\"\\u\""}) {
    EXPECT_FALSE(parse_json(text, "x")) << text;
  }
}

TEST(Json, IsWrittenAsNlohmannWritesIt) {
  const auto value = nlohmann::json::parse(
      R"({"b":[],"a":{},"n":[0,-1,18446744073709551615,-9223372036854775808,1.5,1e300],"t":true,
          "z":null,"s":"a\"\\\n\u0001\u007f\u00e9/","":["",[[]],{"x":{"y":"z"}}]})");
  EXPECT_EQ(dump_json(value), value.dump());
  nlohmann::json odd = {"\xff", std::numeric_limits<double>::infinity(), "x\xc3"};
  EXPECT_EQ(dump_json(odd), odd.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  for (const char* text : {"null", "7", "\"x\"", "[]", "{}"}) {
    EXPECT_EQ(dump_json(nlohmann::json::parse(text)), text);
  }
}

TEST(Json, HoldsTheDepthLimitExactly) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse_json(nested(64), "x"));
  EXPECT_NE(parse_json(nested(65), "x").error().message().find("deeper than 64"),
            std::string::npos);
  EXPECT_FALSE(parse_json(nested(100000), "x"));
}

TEST(Json, RefusesDoubledKeysAtAnyLevel) {
  EXPECT_NE(parse_json(R"({"a":{"b":1,"b":2}})", "x").error().message().find("'b' stands twice"),
            std::string::npos);
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":2}])", "x"));
  EXPECT_EQ(parse_json(R"({"a":1,"a":2})", "x", {.refuse_duplicate_keys = false})->at("a"), 2);
}

}  // namespace
}  // namespace coffer
