#include "base/json.h"

#include <gtest/gtest.h>

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
  EXPECT_TRUE(parse_json(R"({"a":1,"a":2})", "x", {.refuse_duplicate_keys = false}));
}

}  // namespace
}  // namespace coffer
